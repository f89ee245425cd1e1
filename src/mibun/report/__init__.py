"""What a run leaves for people to read: self-contained HTML pages, and the folder that they stand in."""

from mibun.report.training import training_report

__all__ = ["training_report"]
