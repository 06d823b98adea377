"""`cutover demo` needs nothing else."""

import re
import signal
import urllib.request

from support.processes import Program
from support.proxy import BINARY
from support.tools import curl
from support.waiting import eventually


def test_the_demo_serves_both_engines_and_follows_its_file(tmp_path):
    demo = Program([BINARY, "demo"], tmp_path / "log")
    try:
        words = eventually(lambda: "Ctrl-C" in demo.words() and demo.words(), 15, "the demo says what to try")
        url = re.search(r"the app\s+(http://\S+?)/?\s", words)[1]
        config = re.search(r"--config (\S+)", words)[1]

        def engines():
            served = (curl("-H", f"cookie: uid=user-{number}", f"{url}/").answer for number in range(30))
            return [answer.get("demo-engine") for answer in served]

        before = engines()
        assert set(before) == {"classic", "identity"}
        page = curl("-H", "Accept: text/html", f"{url}/")
        assert page.answer.cookie("cutover") and "x-forwarded-for" in page.answer.text
        text = open(config).read()
        open(config, "w").write(text.replace("percent = 25", "percent = 100"))
        eventually(lambda: set(engines()) == {"identity"}, 10, "everybody is on identity")
        assert urllib.request.urlopen(f"{url}/healthz", timeout=5).status == 200
        demo.signal(signal.SIGINT)
        assert demo.wait(15) == 0
    finally:
        demo.stop()
