#include "decoders/audio/testing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "decoders/testing/expect.h"
#include "decoders/testing/run_guest.h"

namespace vxa::decoders {
namespace {

std::string Number(uint32_t value, int bytes) {
  std::string number;
  for (int i = 0; i < bytes; ++i) number += static_cast<char>(value >> 8 * i);
  return number;
}

}  // namespace

std::string WavHeader(uint32_t rate, uint32_t channels, bool is_float, uint32_t mask) {
  const uint32_t bits = is_float ? 32 : 16, frame = channels * bits / 8;
  const bool is_plain = channels <= 2 && !is_float;
  std::string format = Number(is_plain ? 1 : 0xfffe, 2) + Number(channels, 2) + Number(rate, 4) +
                       Number(rate * frame, 4) + Number(frame, 2) + Number(bits, 2);
  if (!is_plain) {
    format += Number(22, 2) + Number(bits, 2) + Number(mask, 4) + Number(is_float ? 3 : 1, 4) +
              std::string("\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71", 12);
  }
  return "RIFF\xff\xff\xff\xffWAVEfmt " + Number(static_cast<uint32_t>(format.size()), 4) + format +
         "data\xff\xff\xff\xff";
}

uint32_t SpeakerMask(size_t channels) {
  static const uint32_t kMasks[] = {0, 4, 3, 7, 0x33, 0x37, 0x3f, 0x70f, 0x63f};
  return channels <= 8 ? kMasks[channels] : 0;
}

size_t OggPosition(size_t channels, size_t channel) {
  static const size_t kPositions[][8] = {{},
                                         {0},
                                         {0, 1},
                                         {0, 2, 1},
                                         {0, 1, 2, 3},
                                         {0, 2, 1, 3, 4},
                                         {0, 2, 1, 5, 3, 4},
                                         {0, 2, 1, 6, 5, 3, 4},
                                         {0, 2, 1, 7, 5, 6, 3, 4}};
  return channels <= 8 ? kPositions[channels][channel] : channel;
}

std::vector<int16_t> Samples16(const std::string& wav, size_t header) {
  std::vector<int16_t> samples(wav.size() > header ? (wav.size() - header) / 2 : 0);
  std::memcpy(samples.data(), wav.data() + wav.size() - samples.size() * 2, samples.size() * 2);
  return samples;
}

void ExpectFirstSeconds(const std::string& guest, const std::string& encoded,
                        std::vector<std::string> arguments, size_t header, size_t second) {
  const std::string wav = RunGuest(guest, arguments, encoded).output;
  ASSERT_GT(wav.size(), header + 2 * second);
  for (size_t seconds : {1, 2}) {
    arguments.push_back("--seconds=" + std::to_string(seconds));
    ExpectDecodes(guest, encoded + "junk", arguments, wav.substr(0, header + seconds * second));
    arguments.pop_back();
  }
  for (const char* all : {"--seconds=3", "--seconds=18446744073709551615"}) {
    arguments.push_back(all);
    ExpectDecodes(guest, encoded, arguments, wav);
    arguments.pop_back();
  }
}

std::vector<std::vector<float>> Tones(unsigned channels, unsigned frames) {
  std::vector<std::vector<float>> tones(channels, std::vector<float>(frames));
  uint32_t noise = 1;
  for (unsigned channel = 0; channel < channels; ++channel) {
    for (unsigned i = 0; i < frames; ++i) {
      noise = noise * 1664525u + 1013904223u;
      tones[channel][i] =
          static_cast<float>(0.8 / (channel + 1) * std::sin(0.02 * (channel + 2) * i) +
                             0.01 * static_cast<int32_t>(noise) / 2147483648.0);
    }
  }
  return tones;
}

void OggWriter::Add(const std::string& packet, int64_t granule_position, bool is_last) {
  Add({.packet = reinterpret_cast<unsigned char*>(const_cast<char*>(packet.data())),
       .bytes = static_cast<long>(packet.size()),
       .b_o_s = packets_ == 0,
       .e_o_s = is_last,
       .granulepos = granule_position,
       .packetno = packets_});
  ++packets_;
}

void OggWriter::Take(bool flush) {
  ogg_page page;
  while (flush ? ogg_stream_flush(&stream_, &page) : ogg_stream_pageout(&stream_, &page)) {
    bytes_.append(reinterpret_cast<char*>(page.header), page.header_len);
    bytes_.append(reinterpret_cast<char*>(page.body), page.body_len);
  }
}

std::vector<std::string> Pages(const std::string& ogg) {
  std::vector<std::string> pages;
  for (size_t at = 0; at < ogg.size(); at += pages.back().size()) {
    const size_t segments = static_cast<unsigned char>(ogg[at + 26]);
    size_t size = 27 + segments;
    for (size_t i = 0; i < segments; ++i) size += static_cast<unsigned char>(ogg[at + 27 + i]);
    pages.push_back(ogg.substr(at, size));
  }
  return pages;
}

std::string WithChecksum(std::string page) {
  auto* header = reinterpret_cast<unsigned char*>(page.data());
  const long header_length = 27 + header[26];
  ogg_page parts = {.header = header,
                    .header_len = header_length,
                    .body = header + header_length,
                    .body_len = static_cast<long>(page.size()) - header_length};
  ogg_page_checksum_set(&parts);
  return page;
}

}  // namespace vxa::decoders
