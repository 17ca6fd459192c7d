#!/usr/bin/env python3
"""Turns projections/*.sql into C tables, and refuses what would fail at run time.

usage: gen_projections.py --model events.model.json --source projections.gen.c FILE.sql...

The sections of a file are described in core/store/projection.h. Every table is made
and every statement prepared here, in an empty SQLite database; every event and field
is looked up in the model of schemas/events. An error names file and line. Only the
standard library is used, and equal input makes equal output.
"""

import argparse
import hashlib
import json
import os
import re
import sqlite3
import sys

# Part of every version: raise it when the engine, the tokenizer or a SQL function
# begins to give other rows for the same file.
ENGINE = b"projections/2\n"

ENVELOPE = {"position": "POSITION", "before": "BEFORE", "time": "TIME", "stream": "STREAM", "version": "VERSION", "actor": "ACTOR",
            "type": "TYPE", "id": "ID", "source": "SOURCE", "data": "DATA"}
KINDS = {"text": "TEXT", "int": "INTEGER", "real": "REAL", "bool": "BOOL", "time": "TIME", "json": "JSON", "id": "TEXT"}
LATEST_KINDS = ("text", "int", "time", "json")
# Functions of core/store/sqlfn.c, with their argument counts (-1 = any).
FUNCTIONS = {"row_id": -1, "timed_id": -1, "latest": 2, "effect_id": 3}
NAME_MAX = 32
STATEMENT_MAX = 4000  # C promises string literals of 4,095
FILTERS_MAX = 12
GATHER_COLUMNS_MAX = 64  # as in core/store/projection.h
# Parameters that lists use themselves.
LIST_PARAMS = ("search", "cursor_value", "cursor_key", "limit", "offset", "page", "cursor", "sort", "fields")


class Refused(Exception):
    def __init__(self, file, line, text):
        super().__init__("%s:%d: %s" % (file, line, text))


class Section:
    def __init__(self, kind, rest, line):
        self.kind, self.rest, self.line = kind, rest.strip(), line
        self.clauses = []  # (line, text) of a list, gather or on
        self.body, self.body_line = "", line + 1


# ---- reading -----------------------------------------------------------------


def sections_of(file, text):
    found, current = [], None
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"^-- (table|gather|on|commit|query|list)\b(.*)$", line)
        if head:
            current = Section(head.group(1), head.group(2), number)
            found.append(current)
        elif current is not None and current.kind in ("list", "gather", "on") and not current.body and re.match(r"^--\s{2,}\S", line):
            current.clauses.append((number, line[2:].strip()))
            current.body_line = number + 1
        elif current is not None:
            current.body += line + "\n"
        elif line.strip() and not line.startswith("--"):
            raise Refused(file, number, "text before the first section")
    return found


def statements_of(file, section):
    """(line, sql) of each statement; a trigger's inner semicolons do not end it."""
    out, gathered, start = [], "", None
    for offset, line in enumerate(section.body.splitlines()):
        if not gathered.strip() and not line.strip():
            continue
        if not gathered.strip():
            gathered, start = "", section.body_line + offset
        gathered += line + "\n"
        if sqlite3.complete_statement(gathered):
            if len(gathered) > STATEMENT_MAX:
                raise Refused(file, start, "a statement is at most %d characters" % STATEMENT_MAX)
            if bare(gathered).strip(" \n;"):
                out.append((start, gathered.strip()))
            gathered = ""
    if bare(gathered).strip():
        raise Refused(file, start, "the statement does not end with a semicolon")
    return out


TOKEN = re.compile(r"""--[^\n]* | /\*.*?\*/ | '(?:[^']|'')*' | "(?:[^"]|"")*" | :[A-Za-z_][A-Za-z0-9_]* | [A-Za-z_][A-Za-z0-9_]*
                       | [()] | .""", re.S | re.X)


def bare(sql):
    return re.sub(r"--[^\n]*|/\*.*?\*/", "", sql, flags=re.S)


def params_of(sql):
    """Names in the order SQLite numbers them."""
    names = []
    for token in TOKEN.findall(sql):
        if token.startswith(":") and len(token) > 1 and token[1:] not in names:
            names.append(token[1:])
    return names


def split_select(file, line, sql):
    """select COLUMNS from FROM [where WHERE], at the outer level."""
    depth, parts, current = 0, {"": ""}, ""
    for token in TOKEN.findall(bare(sql).strip().rstrip(";")):
        word = token.lower()
        depth += (token == "(") - (token == ")")
        if depth == 0 and word in ("select", "from", "where") and word not in parts:
            parts[word], current = "", word
        elif depth == 0 and word in ("order", "group", "limit", "union", "having"):
            raise Refused(file, line, "a list ends with its condition; '%s' is the list's own" % word)
        else:
            parts[current] += token
    if parts[""].strip() or "select" not in parts or "from" not in parts:
        raise Refused(file, line, "a list is 'select ... from ... [where ...]'")
    return tuple(re.sub(r"\s+", " ", parts.get(k, "")).strip() for k in ("select", "from", "where"))


def split_columns(select):
    """The columns of a select at their outer commas."""
    depth, parts = 0, [""]
    for token in TOKEN.findall(select):
        depth += (token == "(") - (token == ")")
        if depth == 0 and token == ",":
            parts.append("")
        else:
            parts[-1] += token
    return [p.strip() for p in parts]


def constant_of(column):
    """What JSON has for a column that is the same in every row, null or a literal that is JSON; else None."""
    m = re.match(r"""^(?:(null) as "\w+(?::[a-z ]+)?"|'([^'\\]*)' as "\w+:json")$""", column, re.I)
    return (m.group(1) or m.group(2)).lower() if m else None


# ---- checking ------------------------------------------------------------------


class Model:
    """One file, read and checked."""

    def __init__(self, path, events):
        self.file = "projections/" + os.path.basename(path)
        self.name = os.path.splitext(os.path.basename(path))[0]
        with open(path, "rb") as f:
            raw = f.read()
        self.version = hashlib.sha256(ENGINE + raw).hexdigest()[:16]
        self.events = events
        self.ddl, self.handlers, self.commits, self.queries, self.lists = [], {}, [], [], []
        self.gathers, self.conditions = {}, {}
        if len(self.name) > NAME_MAX or not re.match(r"^[a-z][a-z0-9_]*$", self.name):
            raise Refused(self.file, 1, "the file's name must be a-z, 0-9 and _, at most %d" % NAME_MAX)
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        for name, count in FUNCTIONS.items():
            self.db.create_function(name, count, lambda *a: "", deterministic=True)
        sections = sections_of(self.file, raw.decode("utf-8"))
        first = ("table", "gather")
        for section in sorted(sections, key=lambda s: first.index(s.kind) if s.kind in first else len(first)):
            getattr(self, "take_" + section.kind)(section)
        if not self.ddl:
            raise Refused(self.file, 1, "there is no '-- table' section")
        if not self.handlers:
            raise Refused(self.file, 1, "there is no '-- on' section")
        self.tables = self.find_tables()

    def refuse(self, line, text):
        raise Refused(self.file, line, text)

    def prepare(self, line, sql, params=()):
        """Compiles without running; returns the names of the columns of a select."""
        values = {p: 0 if p in ("limit", "offset") else None for p in params}
        try:
            self.db.execute("explain " + sql, values)
            if re.match(r"\s*(select|with)\b", bare(sql), re.I):
                return [d[0] for d in self.db.execute(sql, values).description]
        except (sqlite3.Error, sqlite3.Warning) as e:
            self.refuse(line, str(e))
        return []

    def take_table(self, section):
        for line, sql in statements_of(self.file, section):
            try:
                self.db.execute(re.sub(r"tokenize\s*=\s*'lulab'", "tokenize = 'unicode61'", sql))
            except sqlite3.Error as e:
                self.refuse(line, str(e))
            self.ddl.append(sql)

    def take_gather(self, section):
        """What becomes of each column of a table, and the statement that writes a row."""
        info = self.db.execute("select name, type, \"notnull\", dflt_value, pk from pragma_table_info(?)",
                               (section.rest,)).fetchall()
        columns = {name: {"integer": type.upper() == "INTEGER", "not_null": not_null, "default": default,
                          "required": bool(pk or (not_null and default is None)),
                          "op": "KEY" if pk else "FIRST"} for name, type, not_null, default, pk in info}
        if not columns or section.body.strip() or section.rest in self.gathers:
            self.refuse(section.line, "a gather names a table, once, and has clauses only")
        made, = self.db.execute("select sql from sqlite_schema where name = ?", (section.rest,)).fetchone()
        if re.search(r"\bcheck\b", bare(made), re.I):
            self.refuse(section.line, "a check would see the values of several events together")
        for line, clause in section.clauses:
            op, _, rest = clause.partition(" ")
            if op not in ("max", "min", "sum"):
                self.refuse(line, "'%s' is not max, min or sum" % op)
            for name in (n.strip() for n in rest.split(",")):
                if columns.get(name, {}).get("op") != "FIRST":
                    self.refuse(line, "'%s' is not a column of %s that can be gathered (once)" % (name, section.rest))
                columns[name]["op"] = op.upper()
                # What stands for nothing must change nothing.
                if columns[name]["default"] not in {"max": (None, "''", "0"), "min": (None,), "sum": (None, "0")}[op]:
                    self.refuse(line, "the default of '%s' would take part in its %s" % (name, op))
                if op == "sum" and not (columns[name]["integer"] and columns[name]["default"]):
                    self.refuse(line, "'%s' must be an integer with default 0 to be summed" % name)
        if len(columns) > GATHER_COLUMNS_MAX or any(t.upper() not in ("TEXT", "INTEGER") for _, t, _, _, _ in info):
            self.refuse(section.line, "a gathered table has at most %d columns, of text or integer" % GATHER_COLUMNS_MAX)
        self.gathers[section.rest] = (section.line, columns)
        try:
            self.db.execute("explain " + self.upsert(section.rest), [None] * len(columns))
        except sqlite3.Error as e:
            self.refuse(section.line, str(e))

    def upsert(self, table):
        columns = self.gathers[table][1]
        merges = {
            "MAX": ("{0} = max({0}, excluded.{0})", "{0} = max(coalesce({0}, excluded.{0}), coalesce(excluded.{0}, {0}))"),
            "MIN": ("{0} = min({0}, excluded.{0})", "{0} = min(coalesce({0}, excluded.{0}), coalesce(excluded.{0}, {0}))"),
            "SUM": ("{0} = {0} + excluded.{0}",) * 2,
        }
        values = ["coalesce(?%d, %s)" % (i, c["default"]) if c["not_null"] and c["default"] else "?%d" % i
                  for i, c in enumerate(columns.values(), 1)]
        sets = [merges[c["op"]][not c["not_null"]].format(name) for name, c in columns.items() if c["op"] in merges]
        return "insert into %s (%s) values (%s) on conflict (%s) do %s" % (
            table, ", ".join(columns), ", ".join(values), ", ".join(n for n, c in columns.items() if c["op"] == "KEY"),
            "update set " + ", ".join(sets) if sets else "nothing")

    def gathered(self, line, sql, follows):
        """(table, indexes of its columns, select) of an insert into a gathered table, else None."""
        m = re.match(r"\s*insert\s+into\s+(\w+)\s*\(([^()]*)\)\s*(select\b.*|values\s*\(.*\)\s*);\s*$", bare(sql), re.I | re.S)
        if not m or m.group(1) not in self.gathers:
            return None
        table, names = m.group(1), [n.strip() for n in m.group(2).split(",")]
        columns = list(self.gathers[table][1])
        select = re.sub(r"^values\s*\((.*)\)\s*$", r"select \1", m.group(3), flags=re.I | re.S)
        if len(set(names)) != len(names) or not set(names) <= set(columns):
            self.refuse(line, "the columns of the insert are not those of %s" % table)
        if not all(n in names for n, c in self.gathers[table][1].items() if c["op"] == "KEY"):
            self.refuse(line, "the insert does not give the key of %s" % table)
        missing = [n for n, c in self.gathers[table][1].items() if c["required"] and n not in names]
        if missing and not follows(table):
            self.refuse(line, "the insert leaves out %s.%s, which has no default" % (table, missing[0]))
        if len(self.prepare(line, select, params_of(select))) != len(names):
            self.refuse(line, "the insert has more or fewer values than columns")
        return table, [columns.index(n) for n in names], re.sub(r"\s+", " ", select).strip()

    def check_apart(self, line, sql, params):
        """A statement of an event does not look at rows that may not be written yet."""
        def authorize(action, table, *_):
            looks = action in (sqlite3.SQLITE_READ, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE)
            return sqlite3.SQLITE_DENY if looks and table in self.gathers else sqlite3.SQLITE_OK
        self.db.set_authorizer(authorize)
        try:
            self.db.execute("explain " + sql, {p: None for p in params})
        except sqlite3.Error:
            self.refuse(line, "the rows of a gathered table are not there yet when this runs")
        finally:
            self.db.set_authorizer(None)

    def take_on(self, section):
        wanted = [n.strip() for n in section.rest.split(",")]
        names = []
        for want in wanted:
            hits = [n for n in self.events if n == want or (want.endswith(".*") and n.startswith(want[:-1]))]
            if not hits:
                self.refuse(section.line, "there is no event '%s'" % want)
            names += [n for n in hits if n not in names]
        statements = statements_of(self.file, section)
        if not statements:
            self.refuse(section.line, "the section is empty")
        condition = self.condition_of(section)
        for name in names:
            for line, sql in statements:
                self.check_writes(line, sql)
                before = self.handlers.get(self.events[name]["id"], (name, []))[1]
                into = self.gathered(line, sql, lambda table: any(b[3] and b[3][0] == table for b in before))
                text = into[2] if into else sql
                params = params_of(text)
                binds = [self.bind(name, p, line) for p in params]
                self.prepare(line, text, params)
                if self.gathers:
                    self.check_apart(line, text, params)
                self.handlers.setdefault(self.events[name]["id"], (name, []))[1].append((line, text, binds, into, condition))

    def condition_of(self, section):
        """The select of a section's while clause; None when it has none."""
        for line, clause in section.clauses:
            word, _, rest = clause.partition(" ")
            if word != "while" or len(section.clauses) > 1:
                self.refuse(line, "'%s' is not the one while of the section" % word)
            select = "select " + rest.strip()
            if params_of(select):
                self.refuse(line, "a condition knows no :%s: it is not asked for each event" % params_of(select)[0])
            if not re.match(r"exists\s*\(", rest.strip(), re.I) or len(self.prepare(line, select)) != 1:
                self.refuse(line, "a condition is 'exists (select ...)'")
            if self.gathers:
                self.check_apart(line, select, [])
            self.conditions.setdefault(select, line)
            return select
        return None

    def take_commit(self, section):
        for line, sql in statements_of(self.file, section):
            if params_of(sql):
                self.refuse(line, "there is no event to take :%s from" % params_of(sql)[0])
            self.check_writes(line, sql)
            self.prepare(line, sql)
            self.commits.append((line, sql))

    def check_writes(self, line, sql):
        if not re.match(r"\s*(insert|update|delete|replace)\b", bare(sql), re.I):
            self.refuse(line, "only insert, update and delete belong here")

    def bind(self, event, param, line):
        fields = self.events[event]["fields"]
        paths = [p for p in fields if p.replace(".", "_") == param]
        if param.endswith("_subject") and "subjects.%s.id" % param[:-8] in fields:
            paths.append("subjects.%s.id" % param[:-8])
        if len(paths) > 1:
            self.refuse(line, ":%s could be %s of %s" % (param, " or ".join(paths), event))
        if paths:
            return "FIELD", paths[0]
        plain = param[len("envelope_"):] if param.startswith("envelope_") else param
        if plain in ENVELOPE:
            return ENVELOPE[plain], None
        self.refuse(line, "%s has no field for :%s" % (event, param))

    def columns(self, line, names):
        out = []
        for name in names:
            api, _, kind = name.partition(":")
            latest, _, rest = kind.partition(" ") if kind.startswith("latest") else ("", "", kind)
            if latest not in ("", "latest") or (rest and rest not in (LATEST_KINDS if latest else KINDS)):
                self.refuse(line, "'%s': a column is of kind %s; or latest, of them %s" % (
                    name, ", ".join(KINDS), ", ".join(LATEST_KINDS)))
            if not re.match(r"^[a-z][A-Za-z0-9]*$", api):
                self.refuse(line, "'%s' is not a camelCase name; give the column one with as" % api)
            if api in [c[0] for c in out]:
                self.refuse(line, "two columns are called '%s'" % api)
            out.append((api, KINDS[rest or "text"], bool(latest), None))
        return out

    def take_query(self, section):
        statements = statements_of(self.file, section)
        if len(statements) != 1 or not re.match(r"^[a-z][a-z0-9_]*$", section.rest):
            self.refuse(section.line, "a query has a name and one statement")
        line, sql = statements[0]
        params = params_of(sql)
        names = self.prepare(line, sql, params)
        if not names:
            self.refuse(line, "a query is a select")
        self.queries.append((section.rest, sql, params, self.columns(line, names)))

    # -- lists --

    def take_list(self, section):
        name, _, rest = section.rest.partition(" ")
        clauses = [(section.line, c.strip()) for c in rest.split(";")]
        clauses += [(line, c.strip()) for line, text in section.clauses for c in text.split(";")]
        statements = statements_of(self.file, section)
        if len(statements) != 1:
            self.refuse(section.line, "a list has one statement")
        line, sql = statements[0]
        made = {"name": name, "filters": [], "range": None, "search": None, "sorts": [], "key": "id"}
        made["select"], made["from"], made["where"] = split_select(self.file, line, sql)
        for at, clause in clauses:
            if clause:
                self.take_clause(made, at, clause)
        if not made["sorts"]:
            self.refuse(section.line, "the list needs a 'sort' clause")
        if len(made["filters"]) > FILTERS_MAX:
            self.refuse(section.line, "more than %d filters" % FILTERS_MAX)
        made["columns"] = self.columns(line, self.prepare_list(made, line))
        self.take_constants(made)
        self.lists.append(made)

    def take_constants(self, made):
        """SQLite is not asked for what is the same in every row."""
        parts = split_columns(made["select"])
        constants = [constant_of(p) for p in parts]
        if len(parts) != len(made["columns"]) or None not in constants:
            return
        made["select"] = ", ".join(p for p, c in zip(parts, constants) if c is None)
        made["columns"] = [c[:3] + (constant,) for c, constant in zip(made["columns"], constants)]

    def take_clause(self, made, line, clause):
        word, _, rest = clause.partition(" ")
        take = getattr(self, "clause_" + word, None)
        if take is None:
            self.refuse(line, "'%s' is not filter, range, search, sort or key" % word)
        take(made, line, rest.strip())

    def clause_filter(self, made, line, rest):
        for one in rest.split(","):
            m = re.match(r"^(\w+)(?:\s*=\s*([\w.]+))?(?:\s+([\w|]+))?$", one.strip())
            if not m or m.group(1) in LIST_PARAMS:
                self.refuse(line, "'%s' is not 'name [= column] [A|B|int|bool]'" % one.strip())
            values = (m.group(3) or "").split("|") if m.group(3) else []
            kind = values[0] if values in (["int"], ["bool"]) else "text"
            made["filters"].append((m.group(1), [] if kind != "text" else values, kind,
                                    "%s = :%s" % (m.group(2) or m.group(1), m.group(1))))

    def clause_range(self, made, line, rest):
        m = re.match(r"^(\w+)\s*\.\.\s*(\w+)\s*=\s*([\w.]+)$", rest)
        if not m:
            self.refuse(line, "'%s' is not 'from..to = column'" % rest)
        made["range"] = (m.group(1), m.group(2), "%s >= :%s" % (m.group(3), m.group(1)),
                         "%s <= :%s" % (m.group(3), m.group(2)))

    def clause_search(self, made, line, rest):
        m = re.match(r"^(\w+)(?:\s+on\s+([\w.]+))?$", rest)
        if not m:
            self.refuse(line, "'%s' is not 'table [on rowid]'" % rest)
        table, rowid = m.group(1), m.group(2) or "rowid"
        # Each word must be found, in whichever text of the row.
        made["search"] = ("{rowid} in (select hit from (select distinct word.key as word, found.row as hit"
                          " from json_each(:search) as word join {table} as found where found.{table} match word.value)"
                          " group by hit having count(*) = json_array_length(:search))").format(rowid=rowid, table=table)

    def clause_sort(self, made, line, rest):
        for one in rest.split(","):
            m = re.match(r"^(-?)(\w+)(?:\s*=\s*([\w.]+))?$", one.strip())
            if not m:
                self.refuse(line, "'%s' is not '[-]name [= column]'" % one.strip())
            made["sorts"].append((m.group(2), bool(m.group(1)), m.group(3) or m.group(2)))

    def clause_key(self, made, line, rest):
        made["key"] = rest

    def prepare_list(self, made, line):
        """Each condition alone and all together, in every order, both ways: as core/store/list_sql.c puts them."""
        conditions = [f[3] for f in made["filters"]]
        conditions += list(made["range"][2:]) if made["range"] else []
        conditions += [made["search"]] if made["search"] else []
        names = []
        for chosen in [[]] + [[c] for c in conditions] + [conditions]:
            for _, _, column in made["sorts"]:
                for way, sign in (("asc", ">"), ("desc", "<")):
                    for cursor in ([], ["%s %s= :cursor_value and (%s, %s) %s (:cursor_value, :cursor_key)" % (
                            column, sign, column, made["key"], sign)]):
                        every = ([made["where"]] if made["where"] else []) + chosen + cursor
                        sql = "select %s, %s, %s from %s%s order by %s %s, %s %s limit :limit offset :offset" % (
                            made["key"], column, made["select"], made["from"],
                            " where (" + ") and (".join(every) + ")" if every else "", column, way, made["key"], way)
                        names = self.prepare(line, sql, params_of(sql))
            every = ([made["where"]] if made["where"] else []) + chosen
            sql = "select count(*) from %s%s" % (made["from"], " where (" + ") and (".join(every) + ")" if every else "")
            self.prepare(line, sql, params_of(sql))
        return names[2:]

    # -- digests --

    def find_tables(self):
        """(name, sql) of each table that is not an index of FTS5's, by name."""
        rows = self.db.execute("select name, sql from sqlite_schema where type = 'table' order by name").fetchall()
        virtual = [n for n, sql in rows if sql and re.match(r"create\s+virtual", sql, re.I)]
        out = []
        for name, _ in rows:
            if name in virtual or name.startswith("sqlite_") or any(name.startswith(v + "_") for v in virtual):
                continue
            info = self.db.execute("select name, pk, hidden from pragma_table_xinfo(?)", (name,)).fetchall()
            keys = [n for n, pk, _ in sorted(info, key=lambda c: c[1]) if pk]
            if not keys:
                self.refuse(1, "table %s needs a primary key: it gives the rows their order" % name)
            columns = [n for n, _, hidden in info if hidden == 0]
            out.append((name, "select %s from %s order by %s" % (", ".join(columns), name, ", ".join(keys))))
        return out


# ---- writing -------------------------------------------------------------------


def c_text(text):
    if text is None or text == "":
        return "NULL"
    lines = text.split("\n")
    quoted = ['"%s%s"' % (l.replace("\\", "\\\\").replace('"', '\\"').replace("?", "\\?"), "\\n" if i + 1 < len(lines) else "")
              for i, l in enumerate(lines)]
    return "\n\t    ".join(q for q in quoted if q != '""') or '""'


def write_columns(out, name, columns):
    out.append("static const struct query_column %s[] = {" % name)
    for api, kind, latest, constant in columns:
        fixed = "{0}" if constant is None else "SLICE_INIT(%s)" % c_text(constant)
        out.append('\t{"%s", COLUMN_%s, %s, SLICE_INIT("\\"%s\\":"), %s},' % (api, kind, str(latest).lower(), api, fixed))
    out.append("\t{0},\n};\n")


def write_gathers(out, m):
    for table, (_, columns) in m.gathers.items():
        out.append("static const struct gather_column %s_gather_%s[] = {" % (m.name, table))
        out.extend('\t{"%s", %s, %s, GATHER_%s},' % (name, str(c["integer"]).lower(), str(c["required"]).lower(), c["op"])
                   for name, c in columns.items())
        out.append("};\n")
    out.append("static const struct projection_gather %s_gathers[] = {" % m.name)
    out.extend("\t{%s_gather_%s, %d,\n\t    %s, %d}," % (m.name, table, len(columns), c_text(m.upsert(table)), line)
               for table, (line, columns) in m.gathers.items())
    out.append("\t{0},\n};\n")


def write_conditions(out, m):
    out.append("static const struct projection_condition %s_conditions[] = {" % m.name)
    out.extend("\t{%s, %d}," % (c_text(sql), line) for sql, line in m.conditions.items())
    out.append("\t{0},\n};\n")


def write_handlers(out, m):
    for event_id, (_, statements) in sorted(m.handlers.items()):
        for i, (_, _, binds, into, _) in enumerate(statements):
            if into:
                out.append("static const unsigned char %s_columns_%d_%d[] = {%s};" % (
                    m.name, event_id, i, ", ".join(str(c) for c in into[1])))
            if binds:
                out.append("static const struct projection_bind %s_binds_%d_%d[] = {" % (m.name, event_id, i))
                out.extend("\t{PROJECTION_%s, %s}," % (source, c_text(path)) for source, path in binds)
                out.append("};\n")
    for event_id, (name, statements) in sorted(m.handlers.items()):
        out.append("/* %s */" % name)
        out.append("static const struct projection_statement %s_on_%d[] = {" % (m.name, event_id))
        for i, (line, sql, binds, into, condition) in enumerate(statements):
            gather = "NULL, NULL"
            if into:
                gather = "&%s_gathers[%d], %s_columns_%d_%d" % (m.name, list(m.gathers).index(into[0]), m.name, event_id, i)
            ref = "%s_binds_%d_%d" % (m.name, event_id, i) if binds else "NULL"
            asked = "&%s_conditions[%d]" % (m.name, list(m.conditions).index(condition)) if condition else "NULL"
            out.append("\t{%s,\n\t    %s, %d, %d, %s, %s}," % (c_text(sql), ref, len(binds), line, gather, asked))
        out.append("};\n")
    out.append("static const struct projection_handler %s_handlers[] = {" % m.name)
    out.extend("\t{%d, %s_on_%d, %d}," % (event_id, m.name, event_id, len(statements))
               for event_id, (_, statements) in sorted(m.handlers.items()))
    out.append("};\n")


def write_queries(out, m):
    for name, sql, params, columns in m.queries:
        write_columns(out, "query_%s_columns" % name, columns)
        out.append("static const char *const query_%s_params[] = {%s};\n" % (
            name, ", ".join(['"%s"' % p for p in params] + ["NULL"])))
        out.append("static const struct query_def query_%s = {\n\t\"%s\", &projection_%s,\n\t%s,\n"
                   "\tquery_%s_params, query_%s_columns,\n};\n" % (name, name, m.name, c_text(sql), name, name))
    out.append("static const struct query_def *const %s_queries[] = {%s};\n" % (
        m.name, ", ".join(["&query_%s" % q[0] for q in m.queries] + ["NULL"])))


def write_list(out, m, made):
    name = "list_" + made["name"]
    write_columns(out, name + "_columns", made["columns"])
    for f, values, kind, _ in made["filters"]:
        if values:
            out.append("static const char *const %s_%s_values[] = {%s, NULL};\n" % (
                name, f, ", ".join('"%s"' % v for v in values)))
    out.append("static const struct list_filter %s_filters[] = {" % name)
    for f, values, kind, sql in made["filters"]:
        out.append('\t{"%s", %s, %s, %s, %s},' % (f, "%s_%s_values" % (name, f) if values else "NULL",
                                                 str(kind == "int").lower(), str(kind == "bool").lower(), c_text(sql)))
    out.append("\t{0},\n};\n\nstatic const struct list_sort %s_sorts[] = {" % name)
    out.extend('\t{"%s", %s, "%s"},' % (s, str(down).lower(), column) for s, down, column in made["sorts"])
    out.append("\t{0},\n};\n")
    span = made["range"] or (None, None, None, None)
    values = [c_text(made["name"]), "&projection_" + m.name, c_text(made["select"]), c_text(made["from"]),
              c_text(made["where"]), c_text(made["key"]), name + "_filters"]
    values += [c_text(v) for v in span] + [c_text(made["search"]), name + "_sorts", name + "_columns"]
    out.append("static const struct list_def %s = {\n\t%s,\n};\n" % (name, ",\n\t".join(values)))


def write_model(out, m):
    out.append("/* ---- %s ---- */\n" % m.file)
    out.append("static const struct projection projection_%s;\n" % m.name)
    out.append("static const char *const %s_ddl[] = {" % m.name)
    out.extend("\t%s," % c_text(sql) for sql in m.ddl)
    out.append("\tNULL,\n};\n")
    write_gathers(out, m)
    write_conditions(out, m)
    write_handlers(out, m)
    write_queries(out, m)
    for made in m.lists:
        write_list(out, m, made)
    out.append("static const struct list_def *const %s_lists[] = {%s};\n" % (
        m.name, ", ".join(["&list_" + l["name"] for l in m.lists] + ["NULL"])))
    out.append("static const struct projection_statement %s_commits[] = {" % m.name)
    out.extend("\t{%s, NULL, 0, %d, NULL, NULL, NULL}," % (c_text(sql), line) for line, sql in m.commits)
    out.append("\t{0},\n};\n")
    out.append("static const struct projection_table %s_tables[] = {" % m.name)
    out.extend("\t{%s, %s}," % (c_text(n), c_text(sql)) for n, sql in m.tables)
    out.append("\t{0},\n};\n")
    out.append("static const struct projection projection_%s = {\n\t\"%s\", \"%s\", \"%s\",\n\t%s,\n"
               "\t%s_handlers, %d,\n\t%s_gathers, %d,\n\t%s_conditions, %d,\n\t%s_commits, %d,\n\t%s_tables, %s_queries, %s_lists,\n};\n" % (
                   m.name, m.name, m.file, m.version, m.name + "_ddl", m.name, len(m.handlers), m.name,
                   len(m.gathers), m.name, len(m.conditions), m.name, len(m.commits), m.name, m.name, m.name))


def source_of(models, array):
    out = ["/* Made by tools/gen_projections.py from projections/; edit those. */\n",
           '#include "store/projection.h"\n', "#include <stddef.h>\n"]
    for m in models:
        write_model(out, m)
    out.append("const struct projection *const %s[] = {" % array)
    out.extend("\t&projection_%s," % m.name for m in models)
    out.append("\tNULL,\n};\n")
    # Looked for by every request. Names are ASCII: this is the order of strcmp().
    names = sorted(q[0] for m in models for q in m.queries)
    out.append("const struct query_def *const %s_queries[] = {" % array)
    out.extend("\t&query_%s," % name for name in names)
    out.append("\tNULL,\n};\n\nconst unsigned %s_n_queries = %d;" % (array, len(names)))
    return "\n".join(out) + "\n"


def check_names(models):
    seen = {}
    for m in models:
        for kind, names in (("query", [q[0] for q in m.queries]), ("list", [l["name"] for l in m.lists])):
            for name in names:
                if (kind, name) in seen:
                    raise Refused(m.file, 1, "%s '%s' is in %s already" % (kind, name, seen[kind, name]))
                seen[kind, name] = m.file


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--array", default="projections", help="name of the array of all read models")
    parser.add_argument("files", nargs="+")
    args = parser.parse_args()
    with open(args.model, encoding="utf-8") as f:
        events = json.load(f)
    try:
        models = [Model(path, events) for path in sorted(args.files)]
        check_names(models)
    except Refused as e:
        sys.exit("gen_projections: %s" % e)
    with open(args.source, "w", encoding="utf-8", newline="\n") as f:
        f.write(source_of(models, args.array))


if __name__ == "__main__":
    main()
