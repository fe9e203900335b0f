"""Home: what this program does, what the newest run found, what is running, and where to go next."""

from dashboard.home import page
from dashboard.shared import shell

shell.begin()
page.show()
