// Representations: what decoders make of an object's stored form. That is the original, where the
// put named a decoder for it, and views, simpler forms of it. Each is made at the put once, to
// record what comes out, and again whenever somebody reads it.
#ifndef ARCHIVE_REPRESENTATION_H_
#define ARCHIVE_REPRESENTATION_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/decoder_runner.h"
#include "archive/recognizer.h"
#include "archive/stored_form.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

// What a decoder made of a stored form when it was run for the first time.
struct FirstRun {
  vx::DecodeResult run;
  uint64_t size = 0;
  Digest digest;
  std::string head;  // its first bytes, for Recognize
};

// Runs it and hands what comes out to `sink`, unless that is null. OK however the guest ended;
// DECODER_FAILED if it is refused; else an error that is neither's fault (an overloaded host, a
// caller who has gone).
absl::StatusOr<FirstRun> RunFirst(const archive::v1::Decode& decode, const vx::Limits& limits,
                                  StoredForm& form, const Locator& locator, DecoderRunner& runner,
                                  ReadSink* sink, const CallContext& context, CostSheet& costs);

// What the run took, for the record.
archive::v1::Cost CostOf(const vx::DecodeResult& run);

// Makes an object's view with a decoder for its format. What that makes of the object is in the
// view, good or bad; an error only for what is neither's fault.
absl::StatusOr<archive::v1::View> MakeView(const Format& format, std::string_view name,
                                           const Digest& decoder, const vx::Limits& limits,
                                           StoredForm& form, const Locator& locator,
                                           DecoderRunner& runner, const CallContext& context,
                                           CostSheet& costs);

// A representation that was proved.
struct Representation {
  std::string_view what;  // "the original", for messages
  const archive::v1::Decode& decode;
  const archive::v1::Cost& cost;
  uint64_t length = 0;
  const archive::v1::Digest& digest;
};

// Streams one. The bytes go out before they can be checked; in the end DATA_DAMAGED or
// DECODER_FAILED if they were not those recorded.
absl::Status ReadRepresentation(const Representation& wanted, StoredForm& form,
                                const Locator& locator, DecoderRunner& runner, ReadSink& sink,
                                const CallContext& context, CostSheet& costs);

}  // namespace vxa

#endif  // ARCHIVE_REPRESENTATION_H_
