"""When nobody is to be paged: mute windows of the settings, and a file of mutes for a whole fleet."""

from spark_pd.mutes.file import MutesFile
from spark_pd.mutes.mute import Mute, Mutes, why_muted
from spark_pd.mutes.window import MuteWindow, parse_windows

__all__ = ["Mute", "MuteWindow", "Mutes", "MutesFile", "parse_windows", "why_muted"]
