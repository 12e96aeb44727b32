"""vxa decoder, and vxa put of what is encoded already, against a real server."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import tarfile

import harness
from command_line import DAMAGED, ERROR, NOT_FOUND, PRECONDITION, USAGE, CommandLine, ScriptedServer
from harness import digest, guest, text
from vxa.v1 import vxa_pb2, vxa_pb2_grpc


def xor(data, key):
    return bytes(byte ^ key[i % len(key)] for i, byte in enumerate(data))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def one_of_its_kind(name):
    """The image of a guest, made another decoder by bytes after its end."""
    one_of_its_kind.made += 1
    return guest(name) + b"one of its kind: %d" % one_of_its_kind.made


one_of_its_kind.made = 0


class Adding(CommandLine):
    def add(self, image, name, *options):
        self.write("image", image)
        return self.vxa("decoder", "add", "image", "--name", name, *options)[0].decode().strip()

    def test_it_prints_the_id_of_what_is_registered(self):
        image = one_of_its_kind("xor")
        self.write("folder/mine.vx", image)
        out, err = self.vxa("decoder", "add", "folder/mine.vx")
        self.assertEqual((out.decode(), err), (f"sha256:{sha256(image)}\n", b""))
        [known] = self.json("decoder", "stat", sha256(image))
        self.assertEqual((known["name"], known["origin"], known["size"]), ("mine", "REGISTERED", len(image)))

    def test_a_sample_must_come_out_as_it_should(self):
        self.write("xor.vx", one_of_its_kind("xor"))
        self.write("sample", xor(b"plain", b"key"))
        add = ["decoder", "add", "xor.vx", "--profile", "vx-2026-int", "--sample", "sample"]
        self.assertIn(sha256(b"other").encode(), self.vxa(
            *add, "--sample-arg", "key", "--sample-sha256", sha256(b"other"), status=ERROR)[1])
        self.assertIn(b"the argument is the key", self.vxa(*add, status=ERROR)[1])
        error = json.loads(self.vxa("--json", *add, status=ERROR)[1])["error"]
        self.assertEqual(error["reason"], "DECODER_REJECTED")
        [added] = self.json(*add, "--sample-arg", "key", "--sample-sha256", sha256(b"plain"))
        self.assertEqual(added["profile"], "vx-2026-int")

    def test_what_is_no_decoder_is_refused(self):
        self.write("text", b"#!/bin/sh\n")
        self.vxa("decoder", "add", "text", status=ERROR)
        self.vxa("decoder", "add", "missing", status=NOT_FOUND)
        self.assertIn(b"directory", self.vxa("decoder", "add", ".", status=ERROR)[1])
        self.write("xor.vx", guest("xor"))
        self.assertIn(b"profile", self.vxa("decoder", "add", "xor.vx", "--profile", "vx-1", status=ERROR)[1])
        self.vxa("decoder", "add", "xor.vx", "--sample", "missing", status=NOT_FOUND)

    def test_a_file_is_not_read_beyond_what_a_decoder_or_sample_may_have(self):
        self.assertIn(b"/dev/zero is too large: 2,097,152", self.vxa("decoder", "add", "/dev/zero", status=ERROR)[1])
        self.write("xor.vx", guest("xor"))
        self.assertIn(b"/dev/zero is too large: 524,288",
                      self.vxa("decoder", "add", "xor.vx", "--sample", "/dev/zero", status=ERROR)[1])

    def test_one_that_is_known_under_another_name_keeps_that(self):
        image = one_of_its_kind("cat")
        self.add(image, "first")
        self.write("second", image)
        out, err = self.vxa("decoder", "add", "second")
        self.assertEqual(out.decode(), f"sha256:{sha256(image)}\n")
        self.assertIn(b"first", err)

    def test_a_path_that_is_not_utf8_needs_a_name(self):
        with open(os.fsencode(self.path("")) + b"\xff", "wb") as file:
            file.write(one_of_its_kind("cat"))
        self.assertIn(b"--name", self.vxa("decoder", "add", b"\xff", status=ERROR)[1])
        self.vxa("decoder", "add", b"\xff", "--name", "")


class Listing(CommandLine):
    def add(self, name, image=None):
        self.write("image", image or one_of_its_kind("cat"))
        return self.vxa("decoder", "add", "image", "--name", name)[0].decode().strip().removeprefix("sha256:")

    def test_ls_lists_ids_and_names(self):
        added = self.add("listed")
        lines = self.vxa("decoder", "ls")[0].decode().splitlines()
        self.assertIn(f"sha256:{added}  listed", lines)
        self.assertRegex("\n".join(lines), r"(?m)^sha256:[0-9a-f]{64}  zlib$")
        self.assertEqual([decoder["id"] for decoder in self.json("decoder", "ls")], [line.split()[0] for line in lines])

    def test_ls_l_shows_where_they_come_from(self):
        added = self.add("listed long")
        heading, *lines = self.vxa("decoder", "ls", "-l")[0].decode().splitlines()
        self.assertEqual(heading.split(), "SIZE NAME ORIGIN STATE SINCE BY ID OUTPUT SOURCES".split())
        self.assertRegex("\n".join(lines), r"(?m)^ *[\d,]+  zlib +built in +approved +- +- +sha256:")
        self.assertRegex("\n".join(lines),
                         rf"(?m)^ *[\d,]+  listed long +registered +- +\S+Z +ipv4:127\S+ +sha256:{added} +- +newlib [\d.]+ \(.*\)$")

    def test_stat_tells_what_is_known(self):
        added = self.add("told")
        out = self.vxa("decoder", "stat", "told")[0].decode()
        for word in [added, "told", "vx-2026", "registered", "ipv4:127.0.0.1:", "only where a put names it"]:
            self.assertIn(word, out)
        self.assertIn("built in", self.vxa("decoder", "stat", "zlib")[0].decode())

    def test_what_a_decoder_says_of_itself_is_shown_but_nothing_for_terminals(self):
        sha = sha256(b"zlib")
        lines = [b"output: image/png .png", b"preview: --small -> image/gif .gif; a small\xe2\x80\xaeone",
                 b"parameter: --escape; \x1b[2J", b"parameter: --n=N; how many",
                 b"source: zlib 1.2.13 (Zlib) zlib.tar.xz sha256:" + sha.encode(),
                 b"patch: CVE-1.patch sha256:" + sha.encode(), b"kit: vxa 1", b"compiler: gcc\x9b2J"]
        added = self.add("noted", harness.with_note(guest("cat"), *lines))
        out = self.vxa("decoder", "stat", "noted")[0].decode()
        for line in ["output    image/png .png", r"preview   --small -> image/gif .gif: a small\xe2\x80\xaeone",
                     "parameter --n=N: how many", "source    zlib 1.2.13, licence Zlib", f"zlib.tar.xz, sha256:{sha}",
                     f"patch CVE-1.patch, sha256:{sha}", "kit       vxa 1"]:
            self.assertIn(line.split(), [shown.split() for shown in out.splitlines()])
        self.assertNotRegex(out, "[\x1b\u202e\x9b]|escape|compiler")
        self.assertRegex(self.vxa("decoder", "ls", "-l")[0].decode(),
                         rf"(?m)  sha256:{added}  image/png +zlib 1\.2\.13 \(Zlib\)$")
        [note] = [decoder["note"] for decoder in self.json("decoder", "ls") if decoder["id"] == "sha256:" + added]
        self.assertEqual(note["output"], {"media_type": "image/png", "extension": ".png"})
        self.assertEqual([parameter["syntax"] for parameter in note["parameters"]], ["--small", "--n=N"])
        self.assertEqual(note["sources"][0]["patches"], [{"name": "CVE-1.patch", "digest": "sha256:" + sha}])
        self.assertEqual(self.json("decoder", "stat", "noted")[0]["note"], note)
        self.vxa("put", "-", "by-noted", "--decoder", "noted", "--sha256", sha256(b"x"), stdin=b"x")
        self.assertIn("by its note it gives image/png and is made of zlib 1.2.13\n",
                      self.vxa("stat", "by-noted")[0].decode())
        self.assertIn(note, [use.get("note") for use in self.json("stat", "by-noted")[0]["decoders"]])

    def test_a_decoder_is_meant_by_its_id_its_first_digits_or_its_name(self):
        added = self.add("meant")
        for reference in added, "sha256:" + added, added[:8], "sha256:" + added[:9].upper(), "meant":
            self.assertEqual(self.json("decoder", "stat", reference)[0]["id"], "sha256:" + added)

    def test_a_claim_does_not_hide_a_decoder_of_the_server(self):
        self.add("zlib")
        self.assertEqual(self.json("decoder", "stat", "zlib")[0]["origin"], "BUILT_IN")

    def test_a_name_that_several_have_lists_them(self):
        ids = [self.add("twins"), self.add("twins")]
        err = self.vxa("decoder", "stat", "twins", status=ERROR)[1].decode()
        for twin in ids:
            self.assertRegex(err, rf"(?m)^     sha256:{twin}  twins  registered \S+Z by ipv4:127")

    def test_unknown_decoders_are_not_found(self):
        for command in "get", "stat":
            for reference in "nobody", "0" * 64, "00000000", "sha256:00000000":
                self.assertIn(reference.encode(), self.vxa("decoder", command, reference, status=NOT_FOUND)[1])
        error = json.loads(self.vxa("--json", "decoder", "stat", "0" * 64, status=NOT_FOUND)[1])["error"]
        self.assertEqual(error["reason"], "DECODER_NOT_FOUND")
        self.assertEqual(os.listdir(self.folder), [])

    def test_get_writes_a_file_named_for_it(self):
        image = one_of_its_kind("cat")
        added = self.add("gotten", image)
        os.mkdir(self.path("folder"))
        self.assertEqual(self.vxa("decoder", "get", added), (b"", b""))
        self.vxa("decoder", "get", added, "-o", "folder")
        self.vxa("decoder", "get", added, "-o", "other")
        for file in "gotten.vx", "folder/gotten.vx", "other":
            self.assertEqual(self.read(file), image)
        self.assertEqual(self.vxa("decoder", "get", added, "-o", "-")[0], image)

    def test_get_of_one_without_a_name_takes_its_first_digits(self):
        added = self.add("")
        [answer] = self.json("decoder", "get", added)
        self.assertEqual((answer["file"], answer["decoder"]["id"]), (added[:8] + ".vx", "sha256:" + added))
        self.assertEqual(sha256(self.read(added[:8] + ".vx")), added)

    def test_get_replaces_a_file_only_if_told_to(self):
        image = one_of_its_kind("cat")
        added = self.add("way", image)
        self.write("way.vx", b"file")
        self.assertIn(b"--force", self.vxa("decoder", "get", added, status=PRECONDITION)[1])
        self.assertEqual(self.read("way.vx"), b"file")
        self.vxa("decoder", "get", added, "--force")
        self.assertEqual(self.read("way.vx"), image)
        self.assertEqual(sorted(os.listdir(self.folder)), ["image", "way.vx"])

    def test_a_standard_output_that_takes_nothing_is_an_error(self):
        for command in ["ls"], ["ls", "-l"], ["stat", "zlib"], ["get", "zlib", "-o", "-"]:
            for output, why in ("/dev/full", b"No space left"), ("&-", b"Bad file descriptor"):
                with self.subTest(command=command, output=output):
                    self.assertIn(why, self.vxa_with_output(output, "decoder", *command, status=ERROR))

    def test_an_interrupted_get_leaves_nothing(self):
        for number in signal.SIGINT, signal.SIGTERM:
            with socket.create_server(("127.0.0.1", 0)) as silent:
                address = "127.0.0.1:%d" % silent.getsockname()[1]
                run = subprocess.Popen([harness.VXA, "--server", address, "decoder", "get", "0" * 64], cwd=self.folder)
                connection, _ = silent.accept()
                run.send_signal(number)
                self.assertEqual(run.wait(timeout=60), -number)
                connection.close()
            self.assertEqual(os.listdir(self.folder), [])


class Liar(vxa_pb2_grpc.ArchiveServicer):
    """Gives for every decoder this image, under this name."""

    def __init__(self, name, image):
        self.name, self.image = name, image

    def GetDecoder(self, request, context):
        return vxa_pb2.GetDecoderResponse(decoder=vxa_pb2.Decoder(id=request.id, name=self.name), image=self.image)

    def ListDecoders(self, request, context):
        return vxa_pb2.ListDecodersResponse(decoders=[vxa_pb2.Decoder(id=digest(self.image), name=self.name)])


class HostileServer(CommandLine):
    def test_bytes_that_are_not_the_decoder_are_no_file(self):
        with ScriptedServer(Liar("xor", b"not what it says")) as server:
            for output in [], ["-o", "-"]:
                out, err = self.vxa("--server", server.address, "decoder", "get", sha256(b"xor"), *output,
                                    status=DAMAGED)
                self.assertEqual(out, b"")
                self.assertIn(sha256(b"not what it says").encode(), err)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_name_neither_leads_out_of_the_folder_nor_to_the_terminal(self):
        for name in "../escaped", "/tmp/escaped", ".hidden", "a\x1b[2J", "a\nb", "a\u202eb":
            with self.subTest(name=name), ScriptedServer(Liar(name, b"image")) as server:
                [answer] = self.json("--server", server.address, "decoder", "get", sha256(b"image"), "--force")
                self.assertEqual(answer["file"], sha256(b"image")[:8] + ".vx")
                for command in ["ls"], ["ls", "-l"], ["stat", sha256(b"image")]:
                    shown = self.vxa("--server", server.address, "decoder", *command)[0].decode()
                    self.assertNotRegex(shown, "[\x1b\u202e]|a\nb")
        self.assertEqual(os.listdir(self.folder), [sha256(b"image")[:8] + ".vx"])


class PutEncoded(CommandLine):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with harness.Client(cls.server) as client:
            for name in "xor", "fault", "cat":
                client.register(guest(name), name=name)

    def refused(self, *options, status=ERROR):
        """What vxa says when it puts the file "in" like that, as a person reads it; the reason for programs."""
        err = self.vxa("put", "in", *options, status=status)[1].decode()
        error = json.loads(self.vxa("--json", "put", "in", *options, status=status)[1])["error"]
        self.vxa("stat", "in", status=NOT_FOUND)
        return err, error["reason"]

    def test_the_object_is_what_the_decoder_makes_of_it(self):
        plain = text(100_000)
        encoded = xor(plain, b"key")
        self.write("letter", encoded)
        out = self.vxa("put", "letter", "--decoder", "xor", "--sha256", sha256(plain), "--decoder-arg", "key",
                       "--size", "100000", "--codec", "store")[0].decode()
        self.assertRegex(out, r"proved with (xor:)?[0-9a-f]{8}: 100,000 → 100,000 bytes, 1 run, ")
        self.assertEqual(self.vxa("cat", "letter")[0], plain)
        self.assertEqual(self.vxa("get", "letter", "--stored", "-o", "-")[0], encoded)
        [entry] = self.json("stat", "letter")
        self.assertEqual((entry["size"], entry["digest"]), (100_000, "sha256:" + sha256(plain)))
        self.assertEqual(entry["decoding"]["decoder"], "sha256:" + sha256(guest("xor")))
        shown = self.vxa("stat", "letter")[0].decode()
        self.assertIn(f"decoding   by sha256:{sha256(guest('xor'))} key\n", shown)
        self.assertIn(f"from 100,000 bytes, sha256:{sha256(encoded)}\n", shown)

    def test_the_digest_may_be_written_as_vxa_prints_it(self):
        self.vxa("put", "-", "stdin", "--decoder", "sha256:" + sha256(guest("cat")), "--sha256",
                 "sha256:" + sha256(b"plain").upper(), stdin=b"plain")
        self.assertEqual(self.vxa("cat", "stdin")[0], b"plain")

    def test_arguments_arrive_as_they_are(self):
        self.write("arguments", b"")
        arguments = ["-x", "[a,b]", "", "a b", "--", "ü"]
        self.vxa("decoder", "add", os.path.join(harness.ROOT, "decoders/testing/echo_args.vx"))
        output = "\n".join([str(1 + len(arguments)), "vx", *arguments, ""]).encode()  # argv[0] is always "vx"
        self.vxa("put", "arguments", "--decoder", "echo_args", "--sha256", sha256(output),
                 *[f"--decoder-arg={argument}" for argument in arguments])
        self.assertEqual(self.json("stat", "arguments")[0]["decoding"]["arguments"], arguments)

    def test_a_decoder_that_fails_its_proof_has_its_say(self):
        self.write("in", b"first line\nsecond line\x1b[2J\n\tthird\n")
        err, reason = self.refused("--decoder", "fault", "--decoder-arg", "complain", "--decoder-arg", "3",
                                   "--sha256", sha256(b""))
        self.assertEqual(reason, "PROOF_FAILED")
        self.assertIn("exit status 3", err)
        self.assertIn("first line\n     second line\\x1b[2J\n     \tthird\n", err)

    def test_an_original_that_is_another_fails_the_proof(self):
        self.write("in", b"plain")
        err, reason = self.refused("--decoder", "cat", "--sha256", sha256(b"other"))
        self.assertEqual(reason, "PROOF_FAILED")
        self.assertIn(sha256(b"other"), err)
        self.assertIn(sha256(b"plain"), err)
        self.assertEqual(self.refused("--decoder", "cat", "--sha256", sha256(b"plain"), "--size", "6")[1],
                         "PROOF_FAILED")

    def test_a_decoder_that_is_not_there_is_not_found(self):
        self.write("in", b"plain")
        put = ["--sha256", sha256(b"plain"), "--decoder"]
        self.assertEqual(self.refused(*put, "0" * 64, status=NOT_FOUND)[1], "DECODER_NOT_FOUND")
        self.assertIn("nobody", self.refused(*put, "nobody", status=NOT_FOUND)[0])


class Sources(CommandLine):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with tarfile.open("third_party/sources.tar") as tar:
            cls.sources = {os.path.basename(member.name): tar.extractfile(member).read() for member in tar}

    def add(self, *files, **options):
        return self.vxa("decoder", "add", *(word for file in files for word in ("--source", file)), **options)

    def test_the_build_has_those_of_every_decoder(self):
        digests = {"sha256:" + sha256(data) for data in self.sources.values()}
        built_in = [decoder for decoder in self.json("decoder", "ls") if decoder["origin"] == "BUILT_IN"]
        self.assertGreater(len(built_in), 10)
        for decoder in built_in:
            with self.subTest(decoder["name"]):
                sources = decoder["note"]["sources"]
                self.assertGreater(len(sources), 1)
                for file in sources + [patch for source in sources for patch in source["patches"]]:
                    self.assertIn(file["digest"], digests)

    def test_they_are_archived_beside_their_decoders(self):
        tarball, patch = "mpg123_1.31.2.orig.tar.bz2", "CVE-2024-10573.patch"
        names = {}
        for file in tarball, patch:
            self.write("renamed." + file, self.sources[file])
            names[file] = f"decoder-sources/{sha256(self.sources[file])}/{file}"
        self.assertNotIn(b"archived", self.vxa("decoder", "stat", "mp3")[0])
        for _ in range(2):  # the second time they are there already
            self.assertEqual(self.add("renamed." + tarball, "renamed." + patch)[0].decode().splitlines(),
                             [names[tarball], names[patch]])
        self.assertEqual([version["version"] for version in self.json("ls", "--versions", names[patch])], [1])
        out = self.vxa("decoder", "stat", "mp3")[0].decode()
        for file, name in names.items():
            self.assertIn(f"{file}, sha256:{sha256(self.sources[file])}, archived as {name}\n", out)
            self.assertEqual(self.vxa("cat", name)[0], self.sources[file])
        self.assertEqual(sorted(self.json("decoder", "stat", "mp3")[0]["archived_sources"]), sorted(names.values()))
        self.assertEqual(self.json("decoder", "add", "--source", "renamed." + patch),
                         [{"file": "renamed." + patch, "object": names[patch]}])

    def test_something_else_of_that_name_is_not_taken_for_it(self):
        name = f"decoder-sources/{sha256(self.sources['lz4_1.9.4.orig.tar.gz'])}/lz4_1.9.4.orig.tar.gz"
        self.put(name, b"forged")
        self.assertNotIn(b"archived", self.vxa("decoder", "stat", "lz4")[0])
        self.write("lz4", self.sources["lz4_1.9.4.orig.tar.gz"])
        self.add("lz4")
        self.assertIn(name, self.vxa("decoder", "stat", "lz4")[0].decode())
        self.assertEqual(self.vxa("cat", name)[0], self.sources["lz4_1.9.4.orig.tar.gz"])

    def test_a_decoder_of_ones_own_comes_with_its_sources(self):
        self.write("mine.vx", harness.with_note(
            guest("cat"), b"source: mine 1 (MIT) mine.tar sha256:" + sha256(b"sources").encode(), b"source: more 2 (X11)"))
        self.write("sources", b"sources")
        out = self.vxa("decoder", "add", "mine.vx", "--source", "sources")[0].decode().splitlines()
        self.assertEqual(out, [f"sha256:{sha256(self.read('mine.vx'))}",
                               f"decoder-sources/{sha256(b'sources')}/mine.tar"])

    def test_what_no_note_names_is_refused(self):
        self.write("other", b"other")
        self.assertIn(f"other: no decoder here was built from this file, by what their notes say: none names "
                      f"sha256:{sha256(b'other')}".encode(), self.add("other", status=PRECONDITION)[1])
        self.assertEqual(self.vxa("ls", "decoder-sources/" + sha256(b"other"))[0], b"")
        self.add("missing", status=NOT_FOUND)

    def test_a_file_that_is_another_when_it_is_read_again_is_not_archived(self):
        patch = self.sources["CVE-2023-4863.patch"]
        self.assertIn(b"/dev/stdin has changed", self.add("/dev/stdin", stdin=patch, status=ERROR)[1])
        self.assertEqual(self.vxa("ls", "decoder-sources/" + sha256(patch))[0], b"")


class Usage(CommandLine):
    def test_wrong_command_lines_end_with_one_line_and_status_2(self):
        self.write("x", b"x")
        digits = "0" * 64
        for arguments in [
                ["decoder"], ["decoder", "frobnicate"], ["decoder", "add"], ["decoder", "get"], ["decoder", "stat"],
                ["decoder", "ls", "x"], ["decoder", "get", digits, "x"], ["decoder", "get", ""],
                ["decoder", "stat", "sha256:0"], ["decoder", "stat", "sha256:" + "x" * 64],
                ["decoder", "get", digits, "--bogus"], ["decoder", "add", "x", "--sample-arg", "a"],
                ["decoder", "add"], ["decoder", "add", "--name", "x", "--source", "x"],
                ["decoder", "add", "x", "--sample-sha256", digits], ["decoder", "add", "x", "--name", b"\xff"],
                ["decoder", "add", "x", "--sample", "x", "--sample-sha256", "0"],
                ["put", "x", "--decoder", digits], ["put", "x", "--sha256", digits],
                ["put", "x", "--decoder", digits, "--sha256", digits[1:]],
                ["put", "x", "--decoder", digits, "--sha256", digits[1:] + "x"],
                ["put", "x", "--decoder", "sha256:0", "--sha256", digits],
                ["put", "x", "--decoder", "", "--sha256", digits],
                ["put", "x", "--decoder-arg", "a"], ["put", "x", "--size", "1"],
                ["put", "x", "--decoder", digits, "--sha256", digits, "--size", "-1"],
                ["put", "x", "--decoder", digits, "--sha256", digits, "--decoder-arg", b"\xff"]]:
            with self.subTest(arguments=arguments):
                out, err = self.vxa(*arguments, status=USAGE)
                self.assertEqual((out, len(err.splitlines())), (b"", 1), err)
        self.assertIn(b"frobnicate", self.vxa("decoder", "frobnicate", status=USAGE)[1])
        self.assertIn(b"--sha256", self.vxa("put", "x", "--decoder", digits, status=USAGE)[1])
        self.assertIn(b"add, ls, get and stat", self.vxa("decoder", status=USAGE)[1])

    def test_help_tells_of_every_command(self):
        self.assertIn(b"decoder", self.vxa("--help")[0])
        for command, option in ("add", b"--sample-sha256"), ("ls", b"-l"), ("get", b"--force"), ("stat", b"ID"):
            self.assertIn(option, self.vxa("decoder", command, "--help")[0])
            self.assertIn(command.encode(), self.vxa("decoder", "--help")[0])
        self.assertIn(b"--decoder-arg", self.vxa("put", "--help")[0])


if __name__ == "__main__":
    harness.main()
