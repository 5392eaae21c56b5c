// What both sides of SPDY/3 know before the first header: zlib's preset dictionary.
// Source: SPDY protocol, draft 3, section 2.6.10.1.
#ifndef PODVISOR_CRI_STREAMING_SPDY_DICTIONARY_H_
#define PODVISOR_CRI_STREAMING_SPDY_DICTIONARY_H_

#include <string>

namespace podvisor::spdy {

// 1,423 bytes. Lives for ever.
const std::string& HeaderDictionary();

}  // namespace podvisor::spdy

#endif  // PODVISOR_CRI_STREAMING_SPDY_DICTIONARY_H_
