#!/usr/bin/env python3
"""Tests of guest/build: bad kernel images, module order, the archive's format, and two whole builds compared."""

import importlib.machinery
import importlib.util
import io
import lzma
import os
import shutil
import stat
import struct
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.join(HERE, "build")


def load_build():
    loader = importlib.machinery.SourceFileLoader("guest_build", BUILD)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("guest_build", loader))
    loader.exec_module(module)
    return module


guest_build = load_build()


def bz_image(elf, payload=None, version=0x20F, length=None):
    payload = lzma.compress(elf) + struct.pack("<I", len(elf)) if payload is None else payload
    image = bytearray(1024 + 16)  # one set-up sector behind the boot sector, the payload 16 bytes into what follows
    image[0x1F1] = 1
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x206, version)
    struct.pack_into("<II", image, 0x248, 16, len(payload) if length is None else length)
    return bytes(image) + payload


class ExtractVmlinux(unittest.TestCase):
    ELF = b"\x7fELF" + b"kernel" * 100

    def test_payload_is_found_by_the_header(self):
        decoy = lzma.compress(b"\x7fELF decoy")
        self.assertEqual(guest_build.extract_vmlinux(bz_image(self.ELF) + decoy), self.ELF)

    def test_bad_images(self):
        good = bz_image(self.ELF)
        wrong_size = lzma.compress(self.ELF) + struct.pack("<I", 7)
        cases = {
            "not a bzImage": (b"\0" * 4096, "not a bzImage"),
            "empty": (b"", "not a bzImage"),
            "old protocol": (bz_image(self.ELF, version=0x207), "does not say where"),
            "truncated": (good[:-1], "truncated"),
            "length of another world": (bz_image(self.ELF, length=0xFFFFFFFF), "truncated"),
            "unknown compression": (bz_image(self.ELF, payload=b"LZOPxxxxxxxxxxxx"), "unknown compression"),
            "size differs": (bz_image(self.ELF, payload=wrong_size), "not an ELF file of the size"),
            "no ELF": (bz_image(b"text" * 100), "not an ELF file"),
        }
        for name, (image, message) in cases.items():
            with self.subTest(name), self.assertRaisesRegex(guest_build.BuildError, message):
                guest_build.extract_vmlinux(image)


class LoadOrder(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        with open(os.path.join(self.folder, "modules.builtin"), "w", encoding="utf-8") as file:
            file.write("kernel/lib/crc32.ko\n")

    def test_each_module_comes_after_what_it_needs_and_once(self):
        dependencies = {"a/fs.ko": ["b/net-core.ko", "c/base.ko"], "b/net-core.ko": ["c/base.ko"], "c/base.ko": []}
        order = guest_build.load_order(["net_core", "crc32", "fs"], dependencies, self.folder)
        self.assertEqual(order, ["c/base.ko", "b/net-core.ko", "a/fs.ko"])

    def test_unknown_module_is_named(self):
        with self.assertRaisesRegex(guest_build.BuildError, "module nosuch is not in the package"):
            guest_build.load_order(["nosuch"], {}, self.folder)


class Archive(unittest.TestCase):
    def test_cpio_reads_it(self):
        file = io.BytesIO()
        archive = guest_build.CpioWriter(file)
        archive.add("dir", stat.S_IFDIR | 0o755)
        archive.add("dir/file", stat.S_IFREG | 0o644, b"seven!!")
        archive.add("init", stat.S_IFREG | 0o755, b"")
        archive.finish()
        out = subprocess.run(["cpio", "-it"], input=file.getvalue(), check=True, capture_output=True).stdout
        self.assertEqual(out.decode().split(), ["dir", "dir/file", "init"])
        self.assertEqual(len(file.getvalue()) % 4, 0)


class Rehearsal(unittest.TestCase):
    def build(self, folder):
        os.mkdir(folder)
        image = os.path.join(folder, "image")
        guest_build.write_rehearsal(folder, image)
        with open(image, "rb") as file:
            return file.read()

    def test_the_same_bytes_each_time(self):
        with tempfile.TemporaryDirectory() as folder:
            first = self.build(os.path.join(folder, "a"))
            os.umask(0o077)
            second = self.build(os.path.join(folder, "somewhere-else"))
            self.assertEqual(first, second)
            self.assertEqual(first[1024:1028], b"\xe2\xe1\xf5\xe0", "the magic of EROFS")
            self.assertLess(len(first), 64 << 10)

    def test_the_program_does_what_it_is_told(self):
        with tempfile.TemporaryDirectory() as folder:
            self.build(os.path.join(folder, "a"))
            program = os.path.join(folder, "a", "rehearsal", "bin", "rehearsal")
            self.assertEqual(subprocess.run([program, "true"], check=False).returncode, 0)
            self.assertEqual(subprocess.run([program, "nonsense"], check=False).returncode, 2)
            with open(os.path.join(folder, "a", "rehearsal", "bin", "dynamic"), "rb") as file:
                self.assertIn(b"/bin/rehearsal\0", file.read())


class WholeBuild(unittest.TestCase):
    def build(self, out_dir, init, **environment):
        return subprocess.run(
            [BUILD, out_dir, init], env={**os.environ, **environment}, capture_output=True, text=True, check=False
        )

    def test_two_builds_are_equal(self):
        with tempfile.TemporaryDirectory() as folder:
            init = os.path.join(folder, "init")
            source = os.path.join(folder, "init.c")
            with open(source, "w", encoding="utf-8") as file:
                file.write("int main(void) { return 0; }\n")
            subprocess.run(["cc", "-static", "-o", init, source], check=True)
            first = self.build(os.path.join(folder, "a"), init, TZ="UTC")
            if "apt-get update" in first.stderr or "apt-get -o" in first.stderr:
                self.skipTest(f"the kernel's package can't be had here: {first.stderr.strip()}")
            self.assertEqual(first.returncode, 0, first.stderr)
            os.utime(init, (1, 1))
            os.umask(0o077)
            second = self.build(os.path.join(folder, "b"), init, TZ="Pacific/Auckland", LC_ALL="C.UTF-8")
            self.assertEqual(second.returncode, 0, second.stderr)
            for name in ("vmlinux", "initrd.img", "rehearsal.erofs", "VERSION"):
                with open(os.path.join(folder, "a", name), "rb") as a, open(os.path.join(folder, "b", name), "rb") as b:
                    self.assertEqual(a.read(), b.read(), name)

    def test_init_has_to_be_static(self):
        with tempfile.TemporaryDirectory() as folder:
            for init, message in ((shutil.which("ls"), "dynamic linker"), (BUILD, "no ELF program")):
                result = self.build(os.path.join(folder, "out"), init)
                self.assertEqual(result.returncode, 1)
                self.assertIn(message, result.stderr)
                self.assertFalse(os.path.exists(os.path.join(folder, "out")))


if __name__ == "__main__":
    unittest.main(verbosity=2)
