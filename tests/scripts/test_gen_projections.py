#!/usr/bin/env python3
"""A read model with a mistake does not build, and the message names file, line and cause."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GENERATOR = os.path.join(ROOT, "tools", "gen_projections.py")

EVENTS = {
    "thing.made": {"id": 900, "fields": {"thing_id": {}, "name": {}, "owner": {}, "owner.name": {},
                                         "subjects.owner.id": {}}},
    "thing.gone": {"id": 901, "fields": {"thing_id": {}}},
}

GOOD = """-- Things.
-- table
create table things (id text primary key, name text, owner text, at integer not null) strict;
create virtual table things_search using fts5(row unindexed, text, tokenize = 'lulab');
-- on thing.made
insert into things values (:thing_id, :owner_name, :owner_subject, :position)
on conflict (id) do update set name = excluded.name;
-- on thing.*
update things set at = :time where id = :thing_id;
-- commit
delete from things_search;
-- query thing_by_id
select id, name, at as "madeAt:time" from things where id = :id;
-- list things
--   filter owner, name A|B
--   range since..until = at
--   search things_search
--   sort -madeAt = at
select id, name from things where name is not null;
"""

GATHERED = """-- Things, counted.
-- table
create table counts (id text primary key, first integer, seen integer not null, n integer not null default 0, name text) strict;
-- gather counts
--   max seen
--   min first
--   sum n
-- on thing.made
insert into counts (seen, id, n, first) values (:time, :thing_id, 1, :time);
insert into counts (id, name) select :thing_id, :name;
"""


def generate(text, name="things.sql"):
    with tempfile.TemporaryDirectory() as work:
        for path, content in (("model.json", json.dumps(EVENTS)), (name, text)):
            with open(os.path.join(work, path), "w") as f:
                f.write(content)
        out = os.path.join(work, "out.c")
        done = subprocess.run([sys.executable, GENERATOR, "--model", os.path.join(work, "model.json"), "--source", out,
                               os.path.join(work, name)], capture_output=True, text=True)
        source = ""
        if done.returncode == 0:
            with open(out) as f:
                source = f.read()
        return done.returncode, done.stderr.strip(), source


class Generator(unittest.TestCase):
    def test_a_good_file_becomes_tables(self):
        status, problem, source = generate(GOOD)
        self.assertEqual((status, problem), (0, ""))
        for part in ('"owner.name"', '"subjects.owner.id"', "PROJECTION_POSITION", '{"madeAt", COLUMN_TIME, false, ',
                     '"owner = :owner"', '"things", "select id, name, owner, at from things order by id"'):
            self.assertIn(part, source)
        self.assertEqual(source, generate(GOOD)[2], "equal input, equal output")

    def test_a_list_does_not_ask_for_what_every_row_has(self):
        columns = 'id, null as "note", at as "madeAt:latest time", \'[1,2]\' as "tags:json", coalesce(owner, \'a,b\') as owner'
        status, problem, source = generate(GOOD.replace("select id, name from things where", "select %s from things where" % columns))
        self.assertEqual((status, problem), (0, ""))
        for part in ('"id, at as \\"madeAt:latest time\\", coalesce(owner, \'a,b\') as owner"',
                     '{"note", COLUMN_TEXT, false, SLICE_INIT("\\"note\\":"), SLICE_INIT("null")}',
                     '{"madeAt", COLUMN_TIME, true, SLICE_INIT("\\"madeAt\\":"), {0}}',
                     '{"tags", COLUMN_JSON, false, SLICE_INIT("\\"tags\\":"), SLICE_INIT("[1,2]")}'):
            self.assertIn(part, source)

    def test_the_version_is_that_of_the_text(self):
        versions = {generate(text)[2].split('"projections/things.sql", "')[1][:16]
                    for text in (GOOD, GOOD, GOOD + "-- a remark\n")}
        self.assertEqual(len(versions), 2)

    def test_mistakes_are_named(self):
        cases = [
            ("-- on thing.made", "-- on thing.mode", 5, "there is no event 'thing.mode'"),
            (":owner_name", ":owner_nam", 6, "thing.made has no field for :owner_nam"),
            ("update things set at = :time", "update things set at = :name", 9, "thing.gone has no field for :name"),
            ("set at = :time", "set ad = :time", 9, "no such column: ad"),
            ("-- query thing_by_id\nselect id, name", "-- query thing_by_id\nselect id, title", 13, "no such column: title"),
            ("madeAt:time\"", "madeAt:date\"", 13, "a column is of kind"),
            ("madeAt:time\"", "madeAt:latest bool\"", 13, "a column is of kind"),
            ("madeAt:time\"", "madeAt:latestest\"", 13, "a column is of kind"),
            ("at as \"madeAt", "at as \"made_at", 13, "not a camelCase name"),
            ("--   sort -madeAt = at", "--   sort -madeAt = made", 19, "no such column: made"),
            ("--   sort -madeAt = at\n", "", 14, "needs a 'sort' clause"),
            ("--   filter owner", "--   fitler owner", 15, "'fitler' is not"),
            ("search things_search", "search things_index", 19, "no such table: things_index"),
            ("is not null;\n", "is not null order by id;\n", 19, "the list's own"),
            ("delete from things_search;", "delete from things_search where row = :id;", 11, "no event to take :id from"),
            ("create virtual", "create table loose (a text) strict;\ncreate virtual", 1, "needs a primary key"),
            ("delete from things_search;", "delete from things_search", 11, "does not end with a semicolon"),
            ("insert into things values", "select * from things where 1 in", 6, "only insert, update and delete"),
            ("create table things (", "create table thing s (", 3, "syntax error"),
        ]
        for old, new, line, says in cases:
            with self.subTest(new):
                self.assertIn(old, GOOD)
                status, problem, _ = generate(GOOD.replace(old, new, 1))
                self.assertEqual(status, 1, problem)
                self.assertTrue(problem.startswith("gen_projections: projections/things.sql:%d: " % line), problem)
                self.assertIn(says, problem)

    def test_a_section_runs_while_its_condition_holds(self):
        status, problem, source = generate(GOOD.replace("-- on thing.*\n", "-- on thing.*\n--   while exists (select 1 from things)\n"))
        self.assertEqual((status, problem), (0, ""))
        self.assertIn('\t{"select exists (select 1 from things)", 9},', source)
        self.assertEqual(source.count("NULL, NULL, &things_conditions[0]}"), 2, "of thing.made and of thing.gone")
        self.assertEqual(source.count("NULL, NULL, NULL}"), 2, "of thing.made and the commit")

    def test_what_is_no_condition_is_named(self):
        cases = [
            ("until exists (select 1 from things)", 6, "is not the one while"),
            ("while 1 = 1", 6, "a condition is 'exists (select ...)'"),
            ("while exists (select 1 from nowhere)", 6, "no such table"),
            ("while exists (select 1 from things where id = :thing_id)", 6, "knows no :thing_id"),
            ("while exists (select 1 from things)\n--   while exists (select 1 from things)", 6, "is not the one while"),
        ]
        for clause, line, says in cases:
            with self.subTest(clause):
                status, problem, _ = generate(GOOD.replace("-- on thing.made\n", "-- on thing.made\n--   %s\n" % clause))
                self.assertNotEqual(status, 0)
                self.assertTrue(problem.startswith("gen_projections: projections/things.sql:%d: " % line), problem)
                self.assertIn(says, problem)
        text = GATHERED.replace("-- on thing.made\n", "-- on thing.made\n--   while exists (select 1 from counts)\n")
        self.assertIn("not there yet", generate(text)[1])

    def test_a_gathered_table_is_written_by_one_statement(self):
        status, problem, source = generate(GATHERED)
        self.assertEqual((status, problem), (0, ""))
        source = source.replace("\\?", "?")
        for part in ('{"id", false, true, GATHER_KEY}', '{"seen", true, true, GATHER_MAX}', '{"n", true, false, GATHER_SUM}',
                     'values (?1, ?2, ?3, coalesce(?4, 0), ?5) on conflict (id) do update set '
                     'first = min(coalesce(first, excluded.first), coalesce(excluded.first, first)), '
                     'seen = max(seen, excluded.seen), n = n + excluded.n',
                     '"select :time, :thing_id, 1, :time"', "[] = {2, 0, 3, 1}", '"select :thing_id, :name"'):
            self.assertIn(part, source)

    def test_what_cannot_be_gathered_is_named(self):
        cases = [
            ("-- gather counts", "-- gather count", 4, "a gather names a table"),
            ("--   sum n", "--   sum n, n", 7, "'n' is not a column of counts that can be gathered (once)"),
            ("--   sum n", "--   sum id", 7, "'id' is not a column"),
            ("--   sum n", "--   add n", 7, "'add' is not max, min or sum"),
            ("--   min first", "--   min n", 6, "the default of 'n' would take part in its min"),
            ("--   max seen", "--   sum seen", 5, "'seen' must be an integer with default 0"),
            ("n integer", "n real", 4, "of text or integer"),
            ("first integer", "first integer check (first > 0)", 4, "a check would see"),
            ("(seen, id, n, first)", "(seen, id, m, first)", 9, "not those of counts"),
            ("(seen, id, n, first)", "(seen, id, n, n)", 9, "not those of counts"),
            ("(seen, id, n, first)", "(seen, id, n)", 9, "more or fewer values than columns"),
            ("(seen, id, n, first) values (:time, ", "(seen, n, first) values (", 9, "does not give the key"),
            ("(seen, id, n, first) values (:time, ", "(id, n, first) values (", 9, "leaves out counts.seen"),
            ("-- on thing.made", "-- on thing.gone\nupdate counts set n = 1;\n-- on thing.made", 9, "not there yet"),
            (":name", "(select name from counts)", 10, "not there yet"),
            ("insert into counts (id, name)", "insert or ignore into counts (id, name)", 10, "not there yet"),
        ]
        for old, new, line, says in cases:
            with self.subTest(new):
                self.assertIn(old, GATHERED)
                status, problem, _ = generate(GATHERED.replace(old, new, 1))
                self.assertEqual(status, 1, problem)
                self.assertTrue(problem.startswith("gen_projections: projections/things.sql:%d: " % line), problem)
                self.assertIn(says, problem)


if __name__ == "__main__":
    unittest.main()
