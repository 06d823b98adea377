"""The engines of a run: one nginx on the load's core, two ports."""

import machine
from nginx import nginx_command, nginx_head
from peer import CLASSIC, IDENTITY

# Bytes of a large answer, and of an upload.
LARGE = 10 * 2**20


class Engines:
    """Both answer about 150 bytes, 10 MiB on `/large`, and on `/upload` only when they have all of the body."""

    def __init__(self, folder, core):
        self.ports = {CLASSIC: machine.free_port(), IDENTITY: machine.free_port()}
        # nginx reads a body before it passes the request on, and has room for all of it: no disk.
        servers = "".join(
            f"""
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ default_type text/plain; return 200 "{name} {'.' * (150 - len(name) - 1)}"; }}
    location = /large {{ root {folder}; }}
    location = /upload {{
      client_max_body_size {LARGE};
      client_body_buffer_size {LARGE + 1};
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_pass http://127.0.0.1:{port}/;
    }}
  }}"""
            for name, port in self.ports.items()
        )
        folder.mkdir(parents=True)
        (folder / "large").write_bytes(bytes(LARGE))
        # Started as root, nginx serves as nobody, who has to get through to the file; the bench folder is 0700.
        for above in (folder, folder.parent):
            above.chmod(0o711)
        config = folder / "nginx.conf"
        config.write_text(f"{nginx_head(folder)}{servers}\n}}\n")
        self.process = machine.Process(nginx_command(config), core, folder / "log")
        for port in self.ports.values():
            machine.wait_for(f"http://127.0.0.1:{port}/", self.process)
        status, _, body = machine.get(f"http://127.0.0.1:{self.ports[CLASSIC]}/large", timeout=10)
        if (status, len(body)) != (200, LARGE):
            raise SystemExit(f"the engine answers /large with {status} and {len(body)} bytes")
