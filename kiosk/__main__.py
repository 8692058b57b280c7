"""`python -m kiosk` is `sheber`."""

from kiosk.cli import main

main()
