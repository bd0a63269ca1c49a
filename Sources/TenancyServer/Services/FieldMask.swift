import Tenancy
import TenancyWire

/// An update mask (AIP-134) resolved against the paths that a method knows.
struct UpdateMask {
  let paths: Set<String>
  /// No mask was given: what is populated counts.
  let isImplied: Bool

  /// - Parameters:
  ///   - all: what `*` stands for.
  ///   - isKnown: whether a path can be updated.
  init(
    _ mask: GoogleProtobuf.FieldMask?, all: [String], isKnown: (String) -> Bool
  ) throws(TenancyError) {
    let given = mask?.paths ?? []
    for (index, path) in given.enumerated() where path != "*" && !isKnown(path) {
      throw .invalid("update_mask.paths[\(index)]", "\"\(path)\" can't be updated")
    }
    isImplied = given.isEmpty
    paths = given.contains("*") ? Set(all) : Set(given)
  }

  /// Whether a field is to be replaced.
  func covers(_ path: String, populated: Bool) -> Bool {
    isImplied ? populated : paths.contains(path)
  }
}
