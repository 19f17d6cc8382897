"""Find what the tests need from the system, or install it: Debian's Chromium, PostgreSQL and Mosquitto.

Run by ``make test``. As root on Debian it installs what is missing; elsewhere it says what to do.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path


def main() -> int:
    missing = [] if shutil.which("chromium") else ["chromium"]
    if not shutil.which("initdb") and not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        missing.append("postgresql")
    if not shutil.which("mosquitto") and not Path("/usr/sbin/mosquitto").exists():
        missing.append("mosquitto")
    if not missing:
        return 0
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(
            f"the tests need {' '.join(missing)}: install it, or run `sudo apt-get install {' '.join(missing)}`"
        )
        return 1
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", *missing]):
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
