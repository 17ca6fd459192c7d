#!/usr/bin/env python3
"""Every zone of the system's database, read by us and by Python's zoneinfo: the same spans with the same offsets."""

import datetime
import os
import random
import subprocess
import zoneinfo

PER_ZONE = 120
FROM, UNTIL = -3_000_000_000, 9_000_000_000  # 1874 to 2255
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


def offset(zone, at):
    return int((EPOCH + datetime.timedelta(seconds=at)).astimezone(zone).utcoffset().total_seconds())


def main():
    rng = random.Random(20261128)
    names = sorted(n for n in zoneinfo.available_timezones() if n[0].isupper())
    assert len(names) > 400, "the zone database is not there: Debian package tzdata"
    asked = [(name, rng.randrange(FROM, UNTIL)) for name in names for _ in range(PER_ZONE)]
    told = subprocess.run([os.environ["ZONE_JUDGE"]], input="\n".join("%s %d" % a for a in asked), check=True, text=True,
                          stdout=subprocess.PIPE).stdout.split("\n")
    n_changes = 0
    for (name, at), line in zip(asked, told):
        zone = zoneinfo.ZoneInfo(name)
        begin, end, is_, before = map(int, line.split())
        where = "%s at %d: %s" % (name, at, line)
        assert begin <= at < end, where
        assert offset(zone, at) == is_, where
        lowest, highest = max(begin, FROM), min(end, UNTIL) - 1
        for _ in range(3):
            assert offset(zone, rng.randint(lowest, highest)) == is_, where
        if begin > FROM:
            n_changes += 1
            assert offset(zone, begin) == is_ and offset(zone, begin - 1) == before != is_, where
        if end < UNTIL:
            assert offset(zone, end - 1) == is_ != offset(zone, end), where
    assert n_changes > len(names) * 10
    print("%d zones, %d changes of clocks: the same" % (len(names), n_changes))


if __name__ == "__main__":
    main()
