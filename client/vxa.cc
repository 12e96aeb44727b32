// The command line program.
#include <fcntl.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "client/checksum.h"
#include "client/commands.h"
#include "client/decoder_reference.h"
#include "client/outputs.h"
#include "client/text.h"

namespace vxa::client {
namespace {

constexpr char kVersion[] = "vxa 0.1 (vxa.v1)";
constexpr char kAbout[] =
    "Puts files into a VXA archive, which keeps each together with its decoder, and gets them "
    "back.";
constexpr char kFooter[] =
    "Exit status: 0 done; 1 an error; 2 a wrong command line; 3 no such object, version, view or\n"
    "decoder; 4 stored bytes are damaged or what came failed verification; 5 a precondition "
    "failed,\n"
    "a decoder is disabled, or a file is in the way; 6 no server, or it is overloaded.";
constexpr char kDefaultServer[] = "127.0.0.1:7420";

// gRPC and protobuf log what comes back as a status anyway.
void DropGrpcLog(gpr_log_func_args*) {}

struct CommandLine {
  GlobalOptions global;
  PutOptions put;
  std::vector<std::string> metadata;  // KEY=VALUE
  GetOptions get;
  ListOptions list;
  NameOptions name;
  VerifyOptions verify;
  DecoderAddOptions decoder_add;
  DecoderListOptions decoder_list;
  DecoderOptions decoder;
  int status = kOk;  // of the command that was run
};

// Checks of what an option is given; the text is what is wrong with it.

std::string CheckUtf8(const std::string& text) { return IsUtf8(text) ? "" : "not UTF-8"; }

// CLI11 would take "-1" and "010" for 2^64 - 1 and 8.
std::string CheckNumber(const std::string& text) { return IsNumber(text) ? "" : "not a number"; }

std::string CheckDigest(const std::string& text) {
  return std::string(ParseDigest(text).status().message());
}

std::string CheckDecoder(const std::string& text) {
  return std::string(CheckDecoderReference(text).message());
}

std::string CheckMetadata(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return "not KEY=VALUE: " + Printable(text);
  return CheckUtf8(text);
}

// An option that may be given several times, with one argument each.
CLI::Option* AddRepeatable(CLI::App* app, const char* option, std::vector<std::string>* values,
                           const char* about, const char* type) {
  return app->add_option(option, *values, about)
      ->type_name(type)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->allow_extra_args(false);
}

void AddDecoding(CLI::App* put, CommandLine* line) {
  CLI::Option* decoder =
      put->add_option("--decoder", line->put.decoder,
                      "FILE is encoded already, and this decoder, by its id, the first of its "
                      "digits or its name, makes the original of it")
          ->type_name("ID")
          ->check(CheckDecoder, "");
  CLI::Option* sha256 = put->add_option("--sha256", line->put.sha256, "the original's SHA-256")
                            ->type_name("HEX")
                            ->check(CheckDigest, "");
  decoder->needs(sha256);
  sha256->needs(decoder);
  AddRepeatable(put, "--decoder-arg", &line->put.decoder_arguments,
                "an argument for the decoder; for several, several times", "A")
      ->check(CheckUtf8, "")
      ->needs(decoder);
  put->add_option("--size", line->put.size, "the original's size in bytes, if it is known")
      ->type_name("N")
      ->check(CheckNumber, "")
      ->needs(decoder);
}

void RunPut(CommandLine* line) {
  if (line->put.file == "-" && line->put.name.empty()) {
    throw CLI::RequiredError("NAME, for standard input has none,");
  }
  for (const std::string& pair : line->metadata) {
    const std::string key = pair.substr(0, pair.find('='));
    if (!line->put.metadata.emplace(key, pair.substr(key.size() + 1)).second) {
      throw CLI::ValidationError("--metadata", "twice the key " + Printable(key));
    }
  }
  line->status = Put(line->global, line->put);
}

void AddPut(CLI::App* app, CommandLine* line) {
  CLI::App* put = app->add_subcommand("put", "store a file");
  put->add_option("FILE", line->put.file, "the file; - for standard input, which needs a NAME")
      ->required();
  put->add_option("NAME", line->put.name,
                  "the object's name; else FILE as typed without leading '/', \"./\" and \"../\", "
                  "with \"..\" and empty segments resolved")
      ->check(CheckUtf8, "");
  put->add_option(
         "--codec", line->put.codec,
         "how it is stored: auto (as far as that saves space), store, deflate, bzip2, zstd, "
         "xz, brotli, lz4, flac, png")
      ->check(CheckUtf8, "");
  put->add_option("--media-type", line->put.media_type, "its type; else what is recognised")
      ->type_name("TYPE")
      ->check(CheckUtf8, "");
  AddRepeatable(put, "--metadata", &line->metadata,
                "to be kept with it; for several, several times", "KEY=VALUE")
      ->check(CheckMetadata, "");
  put->add_flag("--if-absent", line->put.if_absent, "only if the name doesn't exist yet");
  put->add_option("--if-version", line->put.if_version,
                  "only if that is the latest version; 0: if the name doesn't exist")
      ->type_name("N")
      ->check(CheckNumber, "");
  put->add_option("--request-id", line->put.request_id,
                  "stored once, however often it is put with the same one")
      ->type_name("ID")
      ->check(CheckUtf8, "");
  AddDecoding(put, line);
  put->callback([line] { RunPut(line); });
}

CLI::App* AddRead(CLI::App* app, CommandLine* line, const char* command, const char* about) {
  CLI::App* read = app->add_subcommand(command, about);
  read->add_option("NAME", line->get.name, "the object's name")->required();
  read->add_option("--version", line->get.version, "that version and not the latest")
      ->type_name("N")
      ->check(CheckNumber, "");
  read->add_flag("--verbose", line->get.verbose,
                 "say on stderr which bytes came through which decoder, and what that took");
  read->callback([line] { line->status = Get(line->global, line->get); });
  return read;
}

void AddOutput(CLI::App* read, CommandLine* line, const char* default_file) {
  read->add_option(
          "-o,--output", line->get.output,
          std::string("where to: a file, a directory, - for standard output; else ") + default_file)
      ->type_name("FILE");
  read->add_flag("--force", line->get.force, "replace a file that is there");
}

void AddReads(CLI::App* app, CommandLine* line) {
  CLI::App* get = AddRead(app, line, "get", "get an object back");
  AddOutput(get, line, "./ and the last segment of NAME");
  get->add_flag("--stored", line->get.stored, "its stored form, before any object decoder");
  CLI::App* view = AddRead(app, line, "view", "get the decoded form of an object");
  AddOutput(view, line, "as for get, with the right extension: x.tar for x.tar.gz");
  AddRepeatable(view, "--decoder-arg", &line->get.decoder_arguments,
                "an argument for the decoder, as decoder stat lists them; for several, several "
                "times. What comes out is not verified",
                "A")
      ->check(CheckUtf8, "");
  view->preparse_callback([line](size_t) { line->get.view = true; });
  CLI::App* cat = AddRead(app, line, "cat", "write an object to standard output");
  cat->preparse_callback([line](size_t) { line->get.output = "-"; });
}

void AddList(CLI::App* app, CommandLine* line) {
  CLI::App* list = app->add_subcommand("ls", "list names");
  list->add_option("PREFIX", line->list.prefix, "only names that begin with it");
  list->add_flag("-l", line->list.detailed,
                 "with sizes, codec, decoders (name:digest), version, time and views");
  list->add_flag("--versions", line->list.versions, "every version, deleted ones included");
  list->callback([line] { line->status = List(line->global, line->list); });
}

void AddByName(CLI::App* app, CommandLine* line, const char* command, const char* about,
               const char* version, int (*run)(const GlobalOptions&, const NameOptions&)) {
  CLI::App* by_name = app->add_subcommand(command, about);
  by_name->add_option("NAME", line->name.name, "the object's name")->required();
  by_name->add_option("--version", line->name.version, version)
      ->type_name("N")
      ->check(CheckNumber, "");
  by_name->callback([line, run] { line->status = run(line->global, line->name); });
}

void AddVerify(CLI::App* app, CommandLine* line) {
  CLI::App* verify = app->add_subcommand(
      "verify", "reproduce objects from what is stored, and tell which ones are damaged");
  CLI::Option* names =
      verify->add_option("NAME", line->verify.names, "objects; without any, the whole namespace")
          ->check(CheckUtf8, "");
  verify->add_option("--prefix", line->verify.prefix, "all names that begin with it")
      ->check(CheckUtf8, "")
      ->excludes(names);
  verify->add_flag("--latest", line->verify.latest, "the latest versions, not every version");
  verify->add_flag("--verbose", line->verify.verbose,
                   "tell of every version, not only damaged ones");
  verify->callback([line] { line->status = Verify(line->global, line->verify); });
}

void AddDecoderAdd(CLI::App* decoder, CommandLine* line) {
  CLI::App* add = decoder->add_subcommand(
      "add",
      "register a decoder of your own, so that puts may name it; prints its id. Or archive the "
      "sources that decoders were built from; prints the objects' names");
  DecoderAddOptions* options = &line->decoder_add;
  CLI::Option* file =
      add->add_option("FILE", options->file, "the program, a static 32-bit x86 ELF file");
  add->add_option("--name", options->name, "what to call it; else FILE's base name without .vx")
      ->check(CheckUtf8, "")
      ->needs(file);
  add->add_option("--profile", options->profile,
                  "the instructions it may use: vx-2026, vx-2026-int")
      ->check(CheckUtf8, "")
      ->needs(file);
  CLI::Option* sample =
      add->add_option("--sample", options->sample, "a file which it must decode before it is taken")
          ->type_name("FILE")
          ->needs(file);
  AddRepeatable(add, "--sample-arg", &options->sample_arguments,
                "an argument for that; for several, several times", "A")
      ->check(CheckUtf8, "")
      ->needs(sample);
  add->add_option("--sample-sha256", options->sample_sha256, "what must come out")
      ->type_name("HEX")
      ->check(CheckDigest, "")
      ->needs(sample);
  AddRepeatable(add, "--source", &options->sources,
                "a tarball or patch that the note of this decoder, or of one that is there, names "
                "by its SHA-256; for several, several times",
                "FILE");
  add->callback([line] {
    if (line->decoder_add.file.empty() && line->decoder_add.sources.empty()) {
      throw CLI::RequiredError("FILE or --source");
    }
    line->status = AddDecoder(line->global, line->decoder_add);
  });
}

CLI::App* AddByDecoder(CLI::App* decoder, CommandLine* line, const char* command, const char* about,
                       int (*run)(const GlobalOptions&, const DecoderOptions&)) {
  CLI::App* by_id = decoder->add_subcommand(command, about);
  by_id
      ->add_option("ID", line->decoder.decoder,
                   "its id, the first of its digits (eight or more), or its name")
      ->required()
      ->check(CheckDecoder, "");
  by_id->callback([line, run] { line->status = run(line->global, line->decoder); });
  return by_id;
}

void AddDecoders(CLI::App* app, CommandLine* line) {
  CLI::App* decoder = app->add_subcommand("decoder", "add, list and get decoders");
  decoder->require_subcommand(0, 1);
  AddDecoderAdd(decoder, line);
  CLI::App* list = decoder->add_subcommand("ls", "list decoders by id and name");
  list->add_flag(
      "-l", line->decoder_list.detailed,
      "with size, origin, whether approved or disabled, since when and by whom, and what it "
      "says of its output and sources");
  list->callback([line] { line->status = ListDecoders(line->global, line->decoder_list); });
  CLI::App* get = AddByDecoder(decoder, line, "get", "get a decoder's program", GetDecoder);
  get->add_option("-o,--output", line->decoder.output,
                  "where to: a file, a directory, - for standard output; else ./NAME.vx, or the "
                  "first digits of the id")
      ->type_name("FILE");
  get->add_flag("--force", line->decoder.force, "replace a file that is there");
  AddByDecoder(decoder, line, "stat",
               "tell all that is known of a decoder, and what it says of itself", StatDecoder);
  decoder->callback([decoder] {
    if (decoder->get_subcommands().empty()) {
      throw CLI::RequiredError("one of add, ls, get and stat after decoder");
    }
  });
}

// A descriptor that is closed would be the next file's or connection's, and what is meant for
// standard output would go there. Opened the wrong way round it still can't be used.
void OccupyStandardDescriptors() {
  for (int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(fd, F_GETFD) >= 0) continue;
    if (open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd) abort();
  }
}

// The command line as CLI11 takes it, the last argument first. For the empty value of "--option="
// it would take the argument that follows.
std::vector<std::string> ArgumentsOf(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto options_end = std::ranges::find(arguments, "--");
  std::vector<std::string> taken;
  for (auto argument = arguments.begin(); argument != arguments.end(); ++argument) {
    const bool valueless = argument < options_end && argument->starts_with("--") &&
                           argument->find('=') == argument->size() - 1;
    if (valueless) argument->pop_back();
    taken.push_back(*argument);
    if (valueless) taken.emplace_back();
  }
  std::ranges::reverse(taken);
  return taken;
}

int Main(int argc, char** argv) {
  OccupyStandardDescriptors();
  if (getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_function(DropGrpcLog);
  google::protobuf::SetLogHandler(nullptr);
  signal(SIGPIPE, SIG_IGN);
  RemoveTemporaryOnSignal();
  CommandLine line;
  CLI::App app(kAbout, "vxa");
  app.footer(kFooter);
  app.set_version_flag("--version", kVersion);
  app.require_subcommand(0, 1);  // CLI11 would not name a command that it does not know
  app.fallthrough();
  app.add_option("--server", line.global.server, "HOST:PORT, [V6]:PORT or unix:PATH")
      ->type_name("ADDR")
      ->envname("VXA_SERVER")
      ->default_str(kDefaultServer);
  app.add_option("--namespace", line.global.ns, "the namespace")
      ->type_name("NS")
      ->capture_default_str();
  app.add_flag("--json", line.global.json, "print JSON, one object a line; errors too, on stderr");
  AddPut(&app, &line);
  AddReads(&app, &line);
  AddList(&app, &line);
  AddByName(&app, &line, "stat", "tell all that is known of an object", "that version", Stat);
  AddByName(&app, &line, "rm", "hide a name; its versions stay",
            "remove that version for good, and hide nothing", Remove);
  AddVerify(&app, &line);
  AddDecoders(&app, &line);
  app.add_subcommand(
         "status", "tell how the server fares: its limits, its load, and how it confines decoders")
      ->callback([&line] { line.status = Status(line.global); });
  line.global.server = kDefaultServer;
  try {
    app.parse(ArgumentsOf(argc, argv));
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::Error& error) {
    const std::string text = error.what();
    std::cerr << "vxa: " << text.substr(0, text.find('\n')) << " (see vxa --help)\n";
    return kUsage;
  }
  if (app.get_subcommands().empty()) {
    std::cerr << "vxa: no command (see vxa --help)\n";
    return kUsage;
  }
  return line.status;
}

}  // namespace
}  // namespace vxa::client

int main(int argc, char** argv) { return vxa::client::Main(argc, argv); }
