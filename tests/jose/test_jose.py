#!/usr/bin/env python3
"""A stock library (npm jose) believes our access tokens by our published keys, and we believe none that it forges.

Skipped (77) where there is no Node, or no registry to fetch jose from.
"""

import base64
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "e2e"), os.path.join(HERE, "..", "lib")]
import harness  # noqa: E402
import npm  # noqa: E402


def main():
    folder = npm.fetched("jose", HERE, os.path.join(os.path.dirname(os.path.abspath(harness.BINARY)), "tests", "jose_node"))
    with harness.Server() as server:
        def call(method, path, body=None, token=None):
            return server.request(method, path, None if body is None else json.dumps(body).encode(), token=token,
                                  headers={"Content-Type": "application/json"})

        person = {"username": "jose_judged", "password": "correct horse battery"}
        assert call("POST", "/api/v1/users", person, server.admin_token()).status == 201
        answer = json.loads(call("POST", "/api/auth/login", {"type": "username_password", **person}).body)
        token = answer["accessToken"]
        part = token.split(".")[1]
        issuer = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["iss"]
        lines = subprocess.run(["node", os.path.join(HERE, "judge.mjs"), issuer, "lulab", token], check=True, cwd=folder,
                               input=call("GET", "/.well-known/jwks.json").body, stdout=subprocess.PIPE).stdout
        claims, *forged = lines.decode().splitlines()
        assert json.loads(claims)["sub"] == answer["user"]["id"], claims
        assert len(forged) >= 7, forged
        believed = [line.split("\t")[0] for line in forged
                    if call("GET", "/api/auth/me", token=line.split("\t")[1]).status != 401]
        assert not believed, "tokens that were forged are believed: %s" % believed
        assert call("GET", "/api/auth/me", token=token).status == 200
    print("jose: our token is verified, %d forged ones are refused" % len(forged))


if __name__ == "__main__":
    main()
