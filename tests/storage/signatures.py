"""The three signatures of object storage once more, from their specifications: a request is judged by what came over the wire."""

import hashlib
import hmac
import urllib.parse


def mac(key, text, digest="sha256"):
    return hmac.new(key, text.encode(), digest).digest()


def encoded(text):
    return urllib.parse.quote(text, safe="-_.~")


def pairs_of(query):
    return urllib.parse.parse_qsl(query, keep_blank_values=True)


def v4_signature(algorithm, prefix, service, end, secret, region, date, canonical):
    scope = "%s/%s/%s/%s" % (date[:8], region, service, end)
    to_sign = "\n".join([algorithm, date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = (prefix + secret).encode()
    for part in (date[:8], region, service, end):
        key = mac(key, part)
    return mac(key, to_sign).hex(), scope


def parameters(pairs, bare):
    return "&".join("%s=%s" % p if p[1] or not bare else p[0] for p in sorted((encoded(k), encoded(v)) for k, v in pairs))


def s3(rq, path, query, body, key_id, secret, region):
    pairs, headers = pairs_of(query), {k.lower(): " ".join(v.split()) for k, v in rq.headers.items()}
    given = dict(pairs)
    if "X-Amz-Signature" in given:
        signature, names, date, payload = given["X-Amz-Signature"], ["host"], given["X-Amz-Date"], "UNSIGNED-PAYLOAD"
        pairs = [p for p in pairs if p[0] != "X-Amz-Signature"]
    else:
        scheme, _, rest = headers["authorization"].partition(" ")
        fields = dict(f.strip().split("=", 1) for f in rest.split(","))
        signature, names, date = fields["Signature"], fields["SignedHeaders"].split(";"), headers["x-amz-date"]
        payload = headers["x-amz-content-sha256"]
        given = {"X-Amz-Credential": fields["Credential"]}
        if scheme != "AWS4-HMAC-SHA256" or payload != hashlib.sha256(body).hexdigest() or "host" not in names:
            return False
        if any(h.startswith("x-amz-") and h not in names for h in headers):
            return False
    canonical = "\n".join([rq.command, path, parameters(pairs, False), "".join("%s:%s\n" % (n, headers[n]) for n in sorted(names)),
                           ";".join(sorted(names)), payload])
    expected, scope = v4_signature("AWS4-HMAC-SHA256", "AWS4", "s3", "aws4_request", secret, region, date, canonical)
    return expected == signature and given["X-Amz-Credential"] == "%s/%s" % (key_id, scope)


def oss(rq, path, query, body, key_id, secret, region):
    pairs, headers = pairs_of(query), {k.lower(): v.strip() for k, v in rq.headers.items()}
    given, signed = dict(pairs), {}
    if "x-oss-signature" in given:
        signature, date, credential = given["x-oss-signature"], given["x-oss-date"], given["x-oss-credential"]
        pairs = [p for p in pairs if p[0] != "x-oss-signature"]
        if given["x-oss-signature-version"] != "OSS4-HMAC-SHA256":
            return False
    else:
        scheme, _, rest = headers["authorization"].partition(" ")
        fields = dict(f.strip().split("=", 1) for f in rest.split(","))
        signature, date, credential = fields["Signature"], headers["x-oss-date"], fields["Credential"]
        signed = {k: v for k, v in headers.items() if k.startswith("x-oss-") or k in ("content-type", "content-md5")}
        if scheme != "OSS4-HMAC-SHA256" or headers["x-oss-content-sha256"] != "UNSIGNED-PAYLOAD":
            return False
    bucket = headers["host"].partition(".")[0]
    canonical = "\n".join([rq.command, "/" + bucket + path, parameters(pairs, True),
                           "".join("%s:%s\n" % h for h in sorted(signed.items())), "", "UNSIGNED-PAYLOAD"])
    expected, scope = v4_signature("OSS4-HMAC-SHA256", "aliyun_v4", "oss", "aliyun_v4_request", secret, region, date, canonical)
    return expected == signature and credential == "%s/%s" % (key_id, scope)


def cos(rq, path, query, body, key_id, secret, region):
    pairs, headers = pairs_of(query), {k.lower(): v.strip() for k, v in rq.headers.items()}
    given = dict(pairs) if "q-signature" in dict(pairs) else dict(f.split("=", 1) for f in headers["authorization"].split("&"))
    names, query_names = given["q-header-list"].split(";"), [n for n in given["q-url-param-list"].split(";") if n]
    if given["q-ak"] != key_id or given["q-sign-algorithm"] != "sha1" or "host" not in names:
        return False
    own = sorted((encoded(k).lower(), encoded(v)) for k, v in pairs if not k.startswith("q-"))
    own = [p for p in own if p[0] != "x-cos-security-token" or p[0] in query_names]  # a link carries it unsigned, as the SDK's do
    if [k for k, _ in own] != sorted(query_names):
        return False
    text = "\n".join([rq.command.lower(), urllib.parse.unquote(path), "&".join("%s=%s" % p for p in own),
                      "&".join("%s=%s" % (n, encoded(headers[n])) for n in sorted(names)), ""])
    sign_key = mac(secret.encode(), given["q-key-time"], "sha1").hex()
    to_sign = "sha1\n%s\n%s\n" % (given["q-sign-time"], hashlib.sha1(text.encode()).hexdigest())
    return mac(sign_key.encode(), to_sign, "sha1").hex() == given["q-signature"]
