// What the parts of an open archive share.
#ifndef ARCHIVE_CORE_H_
#define ARCHIVE_CORE_H_

#include <memory>
#include <string>
#include <utility>

#include "archive/archive.h"
#include "archive/commit_log.h"
#include "archive/decoder_runner.h"
#include "archive/env.h"
#include "archive/index.h"
#include "archive/ingest_budget.h"
#include "archive/note_cache.h"
#include "archive/pack_files.h"
#include "archive/pack_writer.h"

namespace vxa {

struct Core {
  Core(Env& e, ArchiveOptions o, std::unique_ptr<Index> i, const std::string& packs_directory,
       PackWriter::Start start)
      : env(e),
        options(std::move(o)),
        index(std::move(i)),
        packs(env, packs_directory),
        writer(env, packs_directory, options.pack_size, std::move(start)),
        log(writer, *index),
        runner(packs, options.decoder, options.decodes),
        budget(options.ingest_budget) {}

  Locator IndexLocator() const {
    return [this](const Digest& digest) { return index->Copies(digest); };
  }

  Env& env;
  const ArchiveOptions options;
  const std::unique_ptr<Index> index;
  PackFiles packs;
  PackWriter writer;
  CommitLog log;
  DecoderRunner runner;
  IngestBudget budget;
  NoteCache notes;
};

}  // namespace vxa

#endif  // ARCHIVE_CORE_H_
