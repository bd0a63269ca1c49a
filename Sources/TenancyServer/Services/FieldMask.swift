import Tenancy
import TenancyWire

/// An update mask (AIP-134) resolved against the paths that a method knows.
struct UpdateMask {
  /// Paths of one mask, repeats included.
  static let maximumPaths = 2_000
  /// Bytes of one path.
  static let maximumPathBytes = 1_024

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
    guard given.count <= Self.maximumPaths else {
      throw .invalid("update_mask.paths", "at most \(Self.maximumPaths)")
    }
    var checks = FieldChecks()
    for (index, path) in given.enumerated() where path != "*" && !checks.isFull {
      let field = "update_mask.paths[\(index)]"
      if path.utf8.count > Self.maximumPathBytes {
        checks.note(.invalid(field, "longer than \(Self.maximumPathBytes) bytes"))
      } else if !isKnown(path) {
        checks.note(.invalid(field, "\"\(path)\" can't be updated"))
      }
    }
    try checks.finish()
    isImplied = given.isEmpty
    // A part that is named beside its whole says what the whole may leave alone.
    paths = given.contains("*") ? Set(all).union(given).subtracting(["*"]) : Set(given)
  }

  /// Whether a field is to be replaced.
  func covers(_ path: String, populated: Bool) -> Bool {
    isImplied ? populated : paths.contains(path)
  }
}
