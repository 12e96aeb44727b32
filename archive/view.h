// Views: an object's stored form run through a decoder into a simpler form, at the put once, to
// record what comes out, and again whenever somebody reads it.
#ifndef ARCHIVE_VIEW_H_
#define ARCHIVE_VIEW_H_

#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "archive/archive.h"
#include "archive/decoder_runner.h"
#include "archive/recognizer.h"
#include "archive/stored_form.h"
#include "vxa/archive/v1/records.pb.h"

namespace vxa {

// Runs a view for the first time. What the decoder makes of the object is in the view, good or bad;
// an error only for what is neither's fault (an overloaded host, a caller who has gone).
absl::StatusOr<archive::v1::View> MakeView(const Format& format, std::string_view name,
                                           const Digest& decoder, const vx::Limits& limits,
                                           StoredForm& form, const Locator& locator,
                                           DecoderRunner& runner, const CallContext& context,
                                           CostSheet& costs);

// Streams a view that is VERIFIED. The bytes go out before they can be checked; in the end
// DATA_DAMAGED or DECODER_FAILED if they were not those recorded.
absl::Status ReadView(const archive::v1::View& view, uint64_t stored_size, StoredForm& form,
                      const Locator& locator, DecoderRunner& runner, ReadSink& sink,
                      const CallContext& context, CostSheet& costs);

}  // namespace vxa

#endif  // ARCHIVE_VIEW_H_
