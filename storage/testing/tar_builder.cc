#include "storage/testing/tar_builder.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"

namespace podvisor {
namespace {

constexpr size_t kBlock = 512;

void Pad(std::string& tar) { tar.resize((tar.size() + kBlock - 1) / kBlock * kBlock, '\0'); }

void Header(std::string& tar, char type, const std::string& name, const std::string& link, size_t size,
            const TarEntry& entry) {
  char header[kBlock] = {};
  std::copy_n(name.data(), std::min<size_t>(name.size(), 100), header);
  snprintf(header + 100, 8, "%07o", entry.mode & 07777);
  snprintf(header + 108, 8, "%07o", static_cast<unsigned int>(std::min<uint64_t>(entry.uid, 07777777)));
  snprintf(header + 116, 8, "%07o", static_cast<unsigned int>(std::min<uint64_t>(entry.gid, 07777777)));
  snprintf(header + 124, 12, "%011zo", size);
  snprintf(header + 136, 12, "%011lo", static_cast<long>(entry.mtime));
  memset(header + 148, ' ', 8);
  header[156] = type;
  std::copy_n(link.data(), std::min<size_t>(link.size(), 100), header + 157);
  std::copy_n("ustar\00000", 8, header + 257);
  snprintf(header + 329, 8, "%07o", entry.major);
  snprintf(header + 337, 8, "%07o", entry.minor);
  unsigned int sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  snprintf(header + 148, 8, "%06o", sum);
  tar.append(header, kBlock);
}

std::string PaxRecord(const std::string& key, const std::string& value) {
  const std::string rest = absl::StrCat(" ", key, "=", value, "\n");
  size_t length = rest.size() + 1;
  while (absl::StrCat(length).size() + rest.size() != length) ++length;
  return absl::StrCat(length, rest);
}

}  // namespace

std::string MakeTar(const std::vector<TarEntry>& entries) {
  std::string tar;
  for (const TarEntry& entry : entries) {
    std::string pax;
    for (const auto& [key, value] : entry.pax) pax += PaxRecord(key, value);
    if (entry.name.size() > 100) pax += PaxRecord("path", entry.name);
    if (entry.link.size() > 100) pax += PaxRecord("linkpath", entry.link);
    if (!pax.empty()) {
      Header(tar, 'x', "PaxHeader", "", pax.size(), entry);
      tar += pax;
      Pad(tar);
    }
    const bool file = entry.type == '0';
    Header(tar, entry.type, entry.name, entry.link, file ? entry.content.size() : 0, entry);
    if (file) tar += entry.content;
    Pad(tar);
  }
  tar.append(2 * kBlock, '\0');
  return tar;
}

std::string Compress(const std::string& data, Compression compression) {
  if (compression == Compression::kNone) return data;
  std::string out(data.size() + (1 << 20), '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  if (compression == Compression::kGzip)
    archive_write_add_filter_gzip(writer);
  else
    archive_write_add_filter_zstd(writer);
  archive_write_set_format_raw(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  if (archive_write_open_memory(writer, out.data(), out.size(), &used) != ARCHIVE_OK) std::abort();
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  if (archive_write_header(writer, entry) != ARCHIVE_OK ||
      archive_write_data(writer, data.data(), data.size()) != static_cast<ssize_t>(data.size()) ||
      archive_write_close(writer) != ARCHIVE_OK)
    std::abort();
  archive_entry_free(entry);
  archive_write_free(writer);
  out.resize(used);
  return out;
}

}  // namespace podvisor
