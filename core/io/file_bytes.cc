#include "core/io/file_bytes.h"

#include "core/base/mapped_file.h"

namespace mlxr {

Result<FileBytes> FileBytes::map(const std::string& path) {
  MLXR_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file, MappedFile::open(path));
  return FileBytes{path, file->bytes(), file};
}

}  // namespace mlxr
