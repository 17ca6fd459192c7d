"""Tables of Bitable: fields with their types, records, what may be written into a cell, and searching."""

import time

TEXT, NUMBER, SELECT, MULTI, DATE, CHECKBOX, PERSON, PHONE, URL, ONE_WAY, TWO_WAY, LOCATION = \
    1, 2, 3, 4, 5, 7, 11, 13, 15, 18, 21, 22
CELL_MAX, ROWS_MAX, CONDITIONS_MAX = 100000, 20000, 50
OPERATORS = ("is", "isNot", "contains", "doesNotContain", "isEmpty", "isNotEmpty", "isGreater", "isGreaterEqual", "isLess",
             "isLessEqual", "like", "in")
DATE_OPERATORS = ("is", "isEmpty", "isNotEmpty", "isGreater", "isLess")
# What the vendor says of a value that does not fit its field.
UNFIT = {TEXT: 1254060, NUMBER: 1254061, SELECT: 1254062, MULTI: 1254063, DATE: 1254064, CHECKBOX: 1254065, PERSON: 1254066,
         PHONE: 1254060, URL: 1254068, ONE_WAY: 1254067, TWO_WAY: 1254067, LOCATION: 1254072}


class Refuse(Exception):
    def __init__(self, code, why):
        super().__init__(why)
        self.code = code


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def are_texts(value):
    return isinstance(value, list) and all(isinstance(v, str) and v for v in value)


class Table:
    def __init__(self, table_id, fields, tables, made):
        self.id, self.fields, self.tables, self.made = table_id, fields, tables, made
        self.records = {}

    # ---- cells ----

    def check(self, name, value):
        if name not in self.fields:
            raise Refuse(1254045, "there is no field %s" % name)
        kind, linked = self.fields[name]
        if value is None:
            return
        good = {
            TEXT: lambda: isinstance(value, str) and len(value) <= CELL_MAX,
            NUMBER: lambda: is_number(value),
            SELECT: lambda: isinstance(value, str),
            MULTI: lambda: are_texts(value),
            DATE: lambda: type(value) is int and 0 <= value < 1 << 53,
            CHECKBOX: lambda: isinstance(value, bool),
            PERSON: lambda: isinstance(value, list) and all(isinstance(v, dict) and isinstance(v.get("id"), str) for v in value),
            PHONE: lambda: isinstance(value, str) and value.lstrip("+").isdigit(),
            URL: lambda: isinstance(value, dict) and isinstance(value.get("link"), str),
            LOCATION: lambda: isinstance(value, str) and value.count(",") == 1,
        }
        if kind in (ONE_WAY, TWO_WAY):
            if not are_texts(value) or len(set(value)) != len(value):
                raise Refuse(1254067, "%s is not a list of record ids" % name)
            for record_id in value:
                if record_id not in self.tables[linked].records:
                    raise Refuse(1254043, "%s links to %s, which is not there" % (name, record_id))
        elif kind not in good:
            raise Refuse(1254065, "%s cannot be written" % name)
        elif not good[kind]():
            raise Refuse(UNFIT[kind], "%s has a value that is not of its type" % name)

    def check_all(self, fields):
        if not isinstance(fields, dict):
            raise Refuse(1254001, "fields is not an object")
        for name, value in fields.items():
            self.check(name, value)

    @staticmethod
    def put(record, fields):
        for name, value in fields.items():
            if value is None or value == "" or value == []:
                record["fields"].pop(name, None)
            else:
                record["fields"][name] = value
        record["changed"] = int(time.time() * 1000)

    def create(self, many):
        """All or nothing."""
        for fields in many:
            self.check_all(fields)
        if len(self.records) + len(many) > ROWS_MAX:
            raise Refuse(1254103, "the table is full")
        made = []
        for fields in many:
            record = {"record_id": self.made("rec"), "fields": {}, "created": int(time.time() * 1000)}
            self.put(record, fields)
            self.records[record["record_id"]] = record
            made.append(record)
        return made

    def update(self, many):
        for record_id, fields in many:
            if record_id not in self.records:
                raise Refuse(1254043, "there is no record %s" % record_id)
            self.check_all(fields)
        for record_id, fields in many:
            self.put(self.records[record_id], fields)
        return [self.records[record_id] for record_id, _ in many]

    def remove(self, ids):
        for record_id in ids:
            if record_id not in self.records:
                raise Refuse(1254043, "there is no record %s" % record_id)
        for record_id in ids:
            del self.records[record_id]

    # ---- as it is read ----

    def written(self, record):
        """In the answer to a write: plain."""
        return {"record_id": record["record_id"], "id": record["record_id"], "fields": dict(record["fields"])}

    def shown(self, record, names, automatic):
        def cell(name, value):
            kind = self.fields[name][0]
            if kind == TEXT:
                return [{"text": value, "type": "text"}]
            if kind in (ONE_WAY, TWO_WAY):
                return {"link_record_ids": value}
            return value

        fields = {n: cell(n, v) for n, v in record["fields"].items() if n in self.fields and (not names or n in names)}
        more = {"created_time": record["created"], "last_modified_time": record["changed"]} if automatic else {}
        return {"record_id": record["record_id"], "fields": fields, **more}

    # ---- searching ----

    def search(self, body):
        names, filters, sort = body.get("field_names"), body.get("filter"), body.get("sort")
        if names is not None:
            if not are_texts(names):
                raise Refuse(1254001, "field_names is not a list of texts")
            for name in names:
                if name not in self.fields:
                    raise Refuse(1254045, "there is no field %s" % name)
        found = list(self.records.values())
        if filters is not None:
            found = [r for r in found if self.fits(r, filters, True)]
            self.check_filter(filters)
        for order in reversed(sort or []):
            if not isinstance(order, dict) or order.get("field_name") not in self.fields:
                raise Refuse(1254045, "sort names no field")
            found.sort(key=lambda r: str(r["fields"].get(order["field_name"], "")), reverse=bool(order.get("desc")))
        return found

    def check_filter(self, filters):
        """Also where there is nothing to be filtered."""
        self.fits({"fields": {}}, filters, True)

    def fits(self, record, filters, may_nest):
        conditions, children = filters.get("conditions") or [], filters.get("children") or []
        if filters.get("conjunction") not in ("and", "or") or not isinstance(conditions, list) or \
                len(conditions) > CONDITIONS_MAX or (children and not may_nest):
            raise Refuse(1254018, "the filter is malformed")
        each = [self.meets(record, c) for c in conditions] + [self.fits(record, c, False) for c in children]
        return (all if filters["conjunction"] == "and" else any)(each)

    def meets(self, record, condition):
        name, operator, values = condition.get("field_name"), condition.get("operator"), condition.get("value", [])
        if name not in self.fields:
            raise Refuse(1254045, "there is no field %s" % name)
        kind = self.fields[name][0]
        if operator not in (DATE_OPERATORS if kind == DATE else OPERATORS):
            raise Refuse(1254018, "the operator %s is not one of this field" % operator)
        if not isinstance(values, list) or not all(isinstance(v, str) for v in values) or \
                (operator in ("isEmpty", "isNotEmpty")) != (values == []):
            raise Refuse(1254018, "value is not a list of texts, or not as long as the operator wants")
        value = record["fields"].get(name)
        if operator in ("isEmpty", "isNotEmpty"):
            return (value is None) == (operator == "isEmpty")
        if kind in (ONE_WAY, TWO_WAY, MULTI):
            has = set(value or [])
            return {"is": has == set(values), "isNot": has != set(values), "contains": bool(has & set(values)),
                    "doesNotContain": not has & set(values), "in": bool(has & set(values))}.get(operator, False)
        if kind == DATE:
            return self.meets_date(value, operator, values)
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        if kind == NUMBER and operator.startswith("is") and operator not in ("is", "isNot"):
            return value is not None and {"isGreater": value > float(values[0]), "isGreaterEqual": value >= float(values[0]),
                                          "isLess": value < float(values[0]), "isLessEqual": value <= float(values[0])}[operator]
        return {"is": text == values[0], "isNot": text != values[0], "contains": any(v in text for v in values),
                "doesNotContain": all(v not in text for v in values), "like": values[0] in text,
                "in": text in values}.get(operator, False)

    @staticmethod
    def meets_date(value, operator, values):
        if values[:1] != ["ExactDate"] or len(values) != 2 or not values[1].isdigit():
            raise Refuse(1254018, "a date's value is [\"ExactDate\", ms]")
        day = 86400000
        mine, other = (None if value is None else (value + 28800000) // day), (int(values[1]) + 28800000) // day
        return mine is not None and {"is": mine == other, "isGreater": mine > other, "isLess": mine < other}[operator]
