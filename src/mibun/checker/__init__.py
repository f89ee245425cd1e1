"""Checks derivatives that somebody else wrote: names the wrong element, and never cries wolf."""

from mibun.checker.report import CheckReport, Finding
from mibun.checker.verb import check

__all__ = ["CheckReport", "Finding", "check"]
