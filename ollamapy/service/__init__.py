"""ollamapy as a service of the machine: units for systemd, a property list for launchd, and what the daemon tells them.

Source: systemd.service(5), systemd.exec(5), sd_notify(3), sd_listen_fds(3); launchd.plist(5), launchctl(1).
"""

from ollamapy.service.control import Control, find_control
from ollamapy.service.notify import inherited_sockets, notify
from ollamapy.service.records import Installation, Plan, ServiceFile, Status

__all__ = ["Control", "Installation", "Plan", "ServiceFile", "Status", "find_control", "inherited_sockets", "notify"]
