"""vxad's offline commands: what they print, how they exit, and when they refuse."""

import json
import os
import shutil
import signal
import subprocess
import tempfile

import harness
from harness import Client, Server, TestCase, noise, text


def vxad(*arguments, **kwargs):
    return subprocess.run([harness.VXAD, *arguments], capture_output=True, text=True, timeout=300, **kwargs)


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


class Offline(TestCase):
    """A stopped archive with a few objects in self.data."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="fsck-", dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(shutil.rmtree, self.root)
        self.data = os.path.join(self.root, "data")
        with Server(self.data) as server, Client(server) as client:
            client.put("noise", noise(50_000))
            client.put("text", text(50_000))
            self.decoder = client.stat("text").decoders[0].decoder.value.hex()
            server.stop()
        self.pack = os.path.join(self.data, "packs", "00000001.vxp")

    def damage(self):
        with open(self.pack, "rb") as file:
            flip(self.pack, file.read().find(noise(50_000)[1000:1100]))


class Fsck(Offline):
    def test_a_sound_archive_is_told_in_a_line_with_status_0(self):
        for options in [], ["--decode"]:
            result = vxad("fsck", "--data", self.data, *options)
            self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
            self.assertIn("2 objects", result.stdout)
            self.assertIn("No damage.", result.stdout)
            self.assertEqual(len(result.stdout.splitlines()), 1, result.stdout)
        self.assertIn("100000 bytes reproduced", result.stdout)

    def test_damage_is_told_with_whom_it_hurts_what_to_do_and_status_4(self):
        self.damage()
        result = vxad("fsck", "--data", self.data)
        self.assertEqual((result.returncode, result.stderr), (4, ""), result.stdout)
        self.assertRegex(result.stdout, r"(?m)^damage: 00000001.vxp, offset \d+: .*blob record")
        self.assertRegex(result.stdout, r"(?m)^damage: default/noise version 1: the chunk at offset 0, 50000 bytes")
        self.assertNotIn("default/text", result.stdout)
        self.assertRegex(result.stdout, r"(?m)^next: restore pack 00000001.vxp from a copy")

    def test_json_is_an_object_a_line(self):
        self.damage()
        result = vxad("fsck", "--data", self.data, "--json")
        self.assertEqual(result.returncode, 4)
        *findings, summary = [json.loads(line) for line in result.stdout.splitlines()]
        damaged = [finding["where"] for finding in findings if finding["severity"] == "damage"]
        self.assertIn("default/noise version 1", damaged)
        self.assertTrue(all(finding["text"] for finding in findings))
        self.assertEqual(summary["summary"]["objects"], 2)
        self.assertEqual(summary["summary"]["damages"], len(damaged))
        self.assertTrue(summary["summary"]["advice"])

    def test_a_served_archive_is_refused(self):
        with Server(self.data) as server, Client(server) as client:
            for command in [["fsck"], ["rebuild-index"], ["decoder", "approve", self.decoder]]:
                with self.subTest(command=command):
                    result = vxad("--data", self.data, *command)
                    self.assertEqual((result.returncode, result.stdout), (1, ""))
                    self.assertIn("another server has the archive", result.stderr)
                    self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertEqual(client.get("noise"), noise(50_000))

    def test_no_archive_is_an_error_and_none_is_made(self):
        nowhere = os.path.join(self.root, "nowhere")
        for command in [["fsck"], ["rebuild-index"], ["decoder", "approve", self.decoder]]:
            with self.subTest(command=command):
                result = vxad("--data", nowhere, *command)
                self.assertEqual((result.returncode, result.stdout), (1, ""))
                self.assertIn(nowhere, result.stderr)
                self.assertFalse(os.path.exists(nowhere))

    def test_wrong_command_lines_are_told_in_a_line_with_status_2(self):
        for arguments in [["fsck"], ["fsck", "--data", self.data, "extra"], ["fsck", "--data", self.data, "--listen", "x"],
                          ["rebuild-index", "--data", self.data, "--decode"], ["decoder", "--data", self.data],
                          ["decoder", "--data", self.data, "praise", self.decoder]]:
            with self.subTest(arguments=arguments):
                result = vxad(*arguments)
                self.assertEqual((result.returncode, result.stdout), (2, ""))
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)

    def test_a_read_only_file_system_is_checked_without_a_lock_and_says_so(self):
        os.mkdir(os.path.join(self.root, "tmp"))
        script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && TMPDIR="$2" exec "$3" fsck --data "$1"'
        result = subprocess.run(
            ["unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", self.data,
             os.path.join(self.root, "tmp"), harness.VXAD], capture_output=True, text=True, timeout=300)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.assertRegex(result.stdout, "note: .*: it is on a read-only file system and can't be locked")
        self.assertIn("No damage.", result.stdout)

    def test_half_a_report_is_an_error(self):
        self.damage()
        with open("/dev/full", "w") as full:
            result = subprocess.run([harness.VXAD, "fsck", "--data", self.data], stdout=full, stderr=subprocess.PIPE,
                                    text=True, timeout=300)
        self.assertEqual(result.returncode, 1)
        self.assertIn("standard output", result.stderr)

    def test_an_interrupt_ends_it_and_leaves_nothing_behind(self):
        os.truncate(self.pack, 1 << 40)  # a tail to search for hours
        scratch = os.path.join(self.root, "tmp")
        os.mkdir(scratch)
        process = subprocess.Popen([harness.VXAD, "fsck", "--data", self.data], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": scratch})
        self.assertTrue(harness.wait_until(lambda: os.listdir(scratch)))
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
        self.assertEqual((process.returncode, output), (1, ""))
        self.assertIn("interrupted; nothing was changed", errors)
        self.assertEqual(os.listdir(scratch), [])


class RebuildIndex(Offline):
    def test_the_archive_is_the_same_afterwards(self):
        result = vxad("rebuild-index", "--data", self.data)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        self.assertIn("The index is made anew.", result.stdout)
        self.assertIn("2 objects, 2 versions of 100000 bytes", result.stdout)
        with Server(self.data) as server, Client(server) as client:
            self.assertEqual(client.names(), ["noise", "text"])
            self.assertEqual(client.get("text"), text(50_000))

    def test_names_that_only_the_old_index_knows_are_told_before_they_are_forgotten(self):
        os.unlink(self.pack)
        result = vxad("rebuild-index", "--data", self.data)
        self.assertEqual(result.returncode, 4, result.stderr)
        for name in "noise", "text":
            self.assertRegex(result.stdout, rf"(?m)^damage: default/{name} version 1: it is lost")


class Decoder(Offline):
    def ruled(self, *words):
        result = vxad("decoder", "--data", self.data, *words)
        self.assertEqual((result.returncode, result.stderr), (0, ""), result.stdout)
        return result.stdout.strip()

    def test_rulings_keep_what_they_are_not_about(self):
        name = f"sha256:{self.decoder} (zstd): approved"
        self.assertEqual(self.ruled("disable", self.decoder, "--reason", "too slow"), name + ", disabled: too slow")
        self.assertEqual(self.ruled("approve", self.decoder[:8]), name + ", disabled: too slow")
        self.assertEqual(self.ruled("enable", "sha256:" + self.decoder), name)

    def test_ids_that_are_none_or_too_short_are_refused(self):
        for identity, words in [("0" * 64, "no decoder"), (self.decoder[:7], "a decoder's id is"),
                                ("no-hex-at-all", "a decoder's id is"), ("", "a decoder's id is")]:
            with self.subTest(identity=identity):
                result = vxad("decoder", "--data", self.data, "disable", identity)
                self.assertEqual((result.returncode, result.stdout), (1, ""))
                self.assertIn(words, result.stderr)


if __name__ == "__main__":
    harness.main()
