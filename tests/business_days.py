"""When things are due, with numpy's business days and Python's time zones. Nothing of psirtd is in it.

Reads lines `zone TAB holidays (with commas) TAB received (seconds since 1970) TAB number TAB unit`, writes seconds since 1970.
"""

import sys
from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import numpy


def due(zone, holidays, received, number, unit):
    if unit == "hours":
        return received + number * 3600
    there = ZoneInfo(zone)
    day = datetime.fromtimestamp(received, timezone.utc).astimezone(there).date()
    if unit == "days":
        day += timedelta(days=number)
    else:
        # from a day off, the count starts at the last business day before it
        day = numpy.busday_offset(day, number, roll="backward", holidays=holidays).astype(date)
    # fold: where 23:59:59 comes twice, the day ends with the second
    end = datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=there, fold=1)
    return int(end.timestamp())


if __name__ == "__main__":
    for line in sys.stdin:
        zone, holidays, received, number, unit = line.rstrip("\n").split("\t")
        holidays = [day for day in holidays.split(",") if day]
        print(due(zone, holidays, int(received), int(number), unit))
