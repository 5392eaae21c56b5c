"""Streaming URLs over TLS, with certificates of the test's own, used by crictl."""
import subprocess
import urllib.parse

from e2e.harness.crictl import CrictlTest

CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class StreamingTlsTest(CrictlTest):
    OVERLAY = ("streaming: {tls_certificate: PLACE/server.crt, tls_key: PLACE/server.key, "
               "tls_client_ca: PLACE/client.crt}\n")

    @classmethod
    def prepare(cls):
        for name, subject in (("server", "subjectAltName=DNS:node.example,IP:127.0.0.1"),
                              ("client", "subjectAltName=DNS:client.example"),
                              ("stranger", "subjectAltName=DNS:stranger.example")):
            subprocess.run(["openssl", "req", "-x509", *CURVE, "-days", "2", "-subj", "/CN=" + name, "-addext", subject,
                            "-keyout", cls.node.folder / f"{name}.key", "-out", cls.node.folder / f"{name}.crt"],
                           check=True, capture_output=True)

    def setUp(self):
        super().setUp()
        pod, config = self.run_pod("tls")
        self.container = self.run_container(pod, config, "c", ["sleep", "100000"])

    def exec(self, *command, client="client", name="node.example", transport="spdy", stdin=""):
        folder = self.node.folder
        return self.crictl("exec", "-r", transport, "-i", "--tls-ca", folder / "server.crt", "--tls-cert",
                           folder / f"{client}.crt", "--tls-key", folder / f"{client}.key", "--tls-sni", name,
                           self.container, *command, check=False, stdin=stdin)

    def test_exec_over_tls(self):
        url = urllib.parse.urlsplit(self.cri.Exec(container_id=self.container, cmd=["true"], stdout=True).url)
        self.assertEqual(url.scheme, "https")
        for transport in ("spdy", "websocket"):
            with self.subTest(transport):
                text = "0123456789abcdef" * (1 << 16)  # many records of TLS
                done = self.exec("cat", transport=transport, stdin=text)
                self.assertEqual((done.returncode, done.stdout), (0, text), done.stderr)
                done = self.exec("sh", "-c", "exit 3", transport=transport)
                self.assertIn("exit code 3", done.stderr)

    def test_who_is_not_known_is_turned_away(self):
        for transport in ("spdy", "websocket"):
            with self.subTest(transport):
                self.assertIn("tls: ", self.exec("true", client="stranger", transport=transport).stderr)
                self.assertIn("x509: ", self.exec("true", name="another.example", transport=transport).stderr)
        self.assertIn("exec", self.refused("exec", self.container, "true"))
        self.assertEqual(self.exec("true").returncode, 0)


del CrictlTest
