"""The registry with critest's images on 127.0.0.1:5000, built once into out/registry, served while a test needs it."""
import contextlib
import os
import signal
import subprocess
import urllib.error
import urllib.request

from e2e.harness.node import clients, source_root

ADDRESS = "127.0.0.1:5000"


def _answers():
    try:
        with urllib.request.urlopen(f"http://{ADDRESS}/v2/", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


@contextlib.contextmanager
def serving():
    """Yields the address; a registry that was there before is used and left alone."""
    if _answers():
        yield ADDRESS
        return
    build = clients() / "critest/build-images"
    folder = source_root() / "out/registry"
    serve_only = ["serve"] if (folder / "digest").exists() else []
    subprocess.run(["/usr/bin/python3", build, *serve_only, folder, ADDRESS], check=True, timeout=600,
                   stdout=subprocess.DEVNULL)
    try:
        yield ADDRESS
    finally:
        os.kill(int((folder / "registry.pid").read_text()), signal.SIGTERM)
