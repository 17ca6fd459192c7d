#!/usr/bin/env python3
"""Makes C, documentation and descriptions from the definitions in schemas/.

    gen_schemas.py events   --registry FILE --header H --source C --model JSON FILE...
    gen_schemas.py requests --header H --source C FILE...
    gen_schemas.py params   --header H --source C FILE...
    gen_schemas.py config   --header H --source C --env ENV FILE...
    gen_schemas.py docs     --registry FILE --markdown MD --asyncapi JSON FILE...

A definition that breaks a rule stops with its file, the place and the reason. Only
the standard library is used, and equal input makes equal output.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from schema import emit_c, emit_config, emit_docs, model  # noqa: E402


def write(path, text):
    if path is None:
        return
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.write(text)


def run(args):
    family = "events" if args.what == "docs" else args.what
    definitions, structs = model.load(family, args.files)
    if family == "events":
        model.check_events(definitions, model.read_registry(args.registry))
    if args.what == "docs":
        write(args.markdown, emit_docs.markdown(definitions))
        write(args.asyncapi, emit_docs.asyncapi(definitions))
    elif args.what == "config":
        settings = emit_config.merge(definitions, structs)
        write(args.header, emit_config.header(settings))
        write(args.source, emit_config.source(settings))
        write(args.env, emit_config.env(settings))
    else:
        stem = os.path.basename(args.header).removesuffix(".gen.h")
        write(args.header, emit_c.header(family, definitions, structs, stem))
        write(args.source, emit_c.source(family, definitions, structs, stem))
        if args.model:
            write(args.model, emit_c.model(definitions))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("events", "requests", "params", "config", "docs"))
    for name in ("registry", "header", "source", "model", "markdown", "asyncapi", "env"):
        parser.add_argument("--" + name)
    parser.add_argument("files", nargs="*")
    args = parser.parse_intermixed_args()  # the files come last
    try:
        run(args)
    except model.Refused as e:
        sys.exit(f"gen_schemas: {e}")


if __name__ == "__main__":
    main()
