"""A real Prometheus scrapes us, and promtool finds nothing to say."""

import json
import urllib.parse
import urllib.request

from support.client import ask_for_all
from support.processes import Program, free_port, program, run
from support.waiting import eventually


def test_promtool_has_nothing_to_say_about_live_metrics(proxy):
    ask_for_all(proxy.port, [f"user-{number}" for number in range(50)])
    _, text = proxy.admin("/metrics")
    found = run(program("promtool"), "check", "metrics", text=text, code=None)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_prometheus_sees_the_rollout(proxy, tmp_path):
    config = tmp_path / "prometheus.yml"
    config.write_text(
        f"""global: {{scrape_interval: 500ms, scrape_timeout: 500ms}}
scrape_configs:
- job_name: cutover
  static_configs: [{{targets: ["127.0.0.1:{proxy.admin_port}"]}}]
"""
    )
    port = free_port()
    prometheus = Program(
        [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{port}"],
        tmp_path / "prometheus.log",
    )  # fmt: skip

    def query(expression):
        """The value of the only series that an instant query finds."""
        parameters = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{parameters}", timeout=5) as answer:
            (series,) = json.load(answer)["data"]["result"]
        return float(series["value"][1])

    try:
        eventually(lambda: query('up{job="cutover"}') == 1, 30, "Prometheus scrapes us")
        found = ask_for_all(proxy.port, [f"user-{number}" for number in range(200)])
        for name in ("classic", "identity"):
            count = sum(engine == name for engine in found.values())
            counted = f'sum(cutover_requests_total{{app="portal",engine="{name}",code="200"}})'
            eventually(lambda: query(counted) == count, 10, f"{counted} is {count}")
        assert query("cutover_config_last_reload_successful") == 1
        assert query('cutover_share_ratio{app="portal",workflow="none"}') == 0.25
        assert query("histogram_quantile(0.99, sum by (le) (cutover_request_duration_seconds_bucket))") > 0
        proxy.edit(proxy.text(percent=60))
        eventually(lambda: query('cutover_share_ratio{app="portal",workflow="none"}') == 0.6, 10, "the new share is seen")
    finally:
        prometheus.stop()
