"""Shows a series in Orthanc's own pages and takes pictures of them, for docs/tutorial_pacs.md.

``python tests/dicom/network/take_screenshot.py FOLDER_OF_DICOM_FILES docs/images``: starts an Orthanc on loopback,
sends the folder with ``ctrecon dicom send``, and has Chromium take ``pacs_study.png`` and ``pacs_image.png``.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from orthanc_server import running
from pacs_nodes import run

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def picture(url: str, target: Path, width: int, height: int) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("chromium is not installed here")
    with tempfile.TemporaryDirectory() as profile:
        words = [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            f"--user-data-dir={profile}", f"--window-size={width},{height}", "--virtual-time-budget=8000",
            f"--screenshot={target.resolve()}", url,
        ]
        subprocess.run(words, check=True, timeout=120, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main(series: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work, running(Path(work), AuthenticationEnabled=False) as orthanc:
        sent = run("dicom", "send", series, "--to", orthanc.node)
        print(sent.output, end="")
        study = orthanc.rest("/studies")[0]
        pages = f"http://127.0.0.1:{orthanc.http}"
        picture(f"{pages}/app/explorer.html#study?uuid={study}", folder / "pacs_study.png", 1100, 700)
        instances = [one["ID"] for one in orthanc.rest(f"/studies/{study}/instances")]
        tags = {one: orthanc.rest(f"/instances/{one}/tags?short") for one in instances}
        images = [one for one in instances if tags[one]["0008,0016"] == CT_IMAGE]
        shown = sorted(images, key=lambda one: int(tags[one]["0020,0013"]))[len(images) // 2]
        page = f"<body style='margin:0;background:black'><img width=512 src='{pages}/instances/{shown}/preview'>"
        (Path(work) / "page.html").write_text(page)
        picture((Path(work) / "page.html").as_uri(), folder / "pacs_image.png", 512, 512)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
