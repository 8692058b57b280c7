"""`python -m kiosk` is `sheber`."""

from kiosk.cli import main

if __name__ == "__main__":  # a process that is started beside this one reads this file too
    main()
