// What the tests of sound decoders have in common.
#ifndef DECODERS_AUDIO_TESTING_H_
#define DECODERS_AUDIO_TESTING_H_

#include <ogg/ogg.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace vxa::decoders {

// The header of a WAV of unknown length with 16-bit samples, or 32-bit ones of floating point.
std::string WavHeader(uint32_t rate, uint32_t channels, bool is_float, uint32_t mask);

// The speakers of the usual arrangement of `channels`, as WAV has them; 0 for more than 8.
uint32_t SpeakerMask(size_t channels);

// Where sample `channel` of a WAV's frame is in one of Vorbis or Opus, of as many channels.
size_t OggPosition(size_t channels, size_t channel);

// The 16-bit samples after a header of `header` bytes.
std::vector<int16_t> Samples16(const std::string& wav, size_t header);

// Expects `guest` with --seconds=N to give the header and the first `second` * N bytes of the
// samples, if there are more, and not to look at what follows. REQUIRES: `encoded` has between 2
// and 3 seconds.
void ExpectFirstSeconds(const std::string& guest, const std::string& encoded,
                        std::vector<std::string> arguments, size_t header, size_t second);

// `frames` samples of each channel: a tone of its own in each, each quieter than the one before,
// with some noise.
std::vector<std::vector<float>> Tones(unsigned channels, unsigned frames);

// Makes an Ogg stream of packets.
class OggWriter {
 public:
  explicit OggWriter(int serial) { ogg_stream_init(&stream_, serial); }
  ~OggWriter() { ogg_stream_clear(&stream_); }
  OggWriter(const OggWriter&) = delete;
  OggWriter& operator=(const OggWriter&) = delete;

  void Add(ogg_packet packet) {
    ogg_stream_packetin(&stream_, &packet);
    Take(false);
  }
  void Add(const std::string& packet, int64_t granule_position, bool is_last);

  // Ends the page.
  void Flush() { Take(true); }

  const std::string& bytes() const { return bytes_; }

 private:
  void Take(bool flush);

  ogg_stream_state stream_;
  std::string bytes_;
  int64_t packets_ = 0;
};

// The pages of an Ogg file, which is sound.
std::vector<std::string> Pages(const std::string& ogg);

// Puts the right check value into a page that was changed.
std::string WithChecksum(std::string page);

}  // namespace vxa::decoders

#endif  // DECODERS_AUDIO_TESTING_H_
