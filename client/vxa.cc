// The command line program.
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <iostream>
#include <string>

#include "client/commands.h"
#include "client/outputs.h"

namespace vxa::client {
namespace {

constexpr char kVersion[] = "vxa 0.1 (vxa.v1)";
constexpr char kAbout[] =
    "Puts files into a VXA archive, which keeps each together with its decoder, and gets them "
    "back.";
constexpr char kFooter[] =
    "Exit status: 0 done; 1 an error; 2 a wrong command line; 3 no such object, version or view;\n"
    "4 stored bytes are damaged or what came failed verification; 5 a precondition failed or a "
    "file\n"
    "is in the way; 6 no server, or it is overloaded.";
constexpr char kDefaultServer[] = "127.0.0.1:7420";

// gRPC and protobuf log what comes back as a status anyway.
void DropGrpcLog(gpr_log_func_args*) {}

struct CommandLine {
  GlobalOptions global;
  PutOptions put;
  GetOptions get;
  ListOptions list;
  NameOptions name;
  int status = kOk;  // of the command that was run
};

void AddPut(CLI::App* app, CommandLine* line) {
  CLI::App* put = app->add_subcommand("put", "store a file");
  put->add_option("FILE", line->put.file, "the file; - for standard input, which needs a NAME")
      ->required();
  put->add_option("NAME", line->put.name,
                  "the object's name; else FILE as typed without leading '/', \"./\" and \"../\", "
                  "with \"..\" and empty segments resolved");
  put->add_option("--codec", line->put.codec,
                  "how it is stored: auto (as far as that saves space), store, deflate, bzip2");
  put->add_flag("--if-absent", line->put.if_absent, "only if the name doesn't exist yet");
  put->callback([line] {
    if (line->put.file == "-" && line->put.name.empty()) {
      throw CLI::RequiredError("NAME, for standard input has none,");
    }
    line->status = Put(line->global, line->put);
  });
}

CLI::App* AddRead(CLI::App* app, CommandLine* line, const char* command, const char* about) {
  CLI::App* read = app->add_subcommand(command, about);
  read->add_option("NAME", line->get.name, "the object's name")->required();
  read->add_option("--version", line->get.version, "that version and not the latest")
      ->type_name("N");
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
  by_name->add_option("--version", line->name.version, version)->type_name("N");
  by_name->callback([line, run] { line->status = run(line->global, line->name); });
}

int Main(int argc, char** argv) {
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
  line.global.server = kDefaultServer;
  try {
    app.parse(argc, argv);
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
