/// What the platform notes on a tenant: labels to find it by, and annotations that nothing looks for. Most tenants
/// have few of them, or none.
public struct TenantMetadata: Hashable, Sendable {
  /// Labels that a tenant has at most.
  public static let maximumLabels = 64
  /// Annotations that a tenant has at most.
  public static let maximumAnnotations = 64
  /// Bytes of all annotations of a tenant together, keys included.
  public static let maximumAnnotationBytes = 16 * 1024
  /// Bytes of a key's name, and of a label's value.
  public static let maximumNameBytes = 63
  /// Bytes of what may stand before a key's name, without the slash.
  public static let maximumPrefixBytes = 253

  /// Short names and values, which filters of lists know. Keys and values have the form that Kubernetes gives them.
  public var labels: [String: String]
  /// Any text but NUL, under keys of the form that labels have.
  public var annotations: [String: String]

  /// Validates nothing: that is up to `TenantCommands`.
  public init(labels: [String: String] = [:], annotations: [String: String] = [:]) {
    self.labels = labels
    self.annotations = annotations
  }

  /// Whether there is nothing.
  public var isEmpty: Bool { labels.isEmpty && annotations.isEmpty }

  /// Bytes of text, and how many pairs there are.
  var content: (bytes: Int, entries: Int) {
    let bytes = [labels, annotations].joined().reduce(0) {
      $0 + $1.key.utf8.count + $1.value.utf8.count
    }
    return (bytes, labels.count + annotations.count)
  }
}

/// The form of labels and annotations, as Kubernetes has it.
enum MetadataForm {
  /// A name, or a DNS subdomain, a slash and a name.
  static func isKey(_ text: String) -> Bool {
    // Nothing that is longer is looked at.
    let longest = TenantMetadata.maximumPrefixBytes + 1 + TenantMetadata.maximumNameBytes
    guard text.utf8.count <= longest else { return false }
    let bytes = text.utf8
    guard let slash = bytes.firstIndex(of: UInt8(ascii: "/")) else { return isName(bytes[...]) }
    return isSubdomain(bytes[..<slash]) && isName(bytes[bytes.index(after: slash)...])
  }

  /// Empty, or a name.
  static func isLabelValue(_ text: String) -> Bool { text.isEmpty || isName(text.utf8[...]) }

  /// 1 to 63 letters, digits, `-`, `_` and `.`, of which a letter or digit comes first and last.
  private static func isName(_ bytes: Substring.UTF8View) -> Bool {
    guard (1...TenantMetadata.maximumNameBytes).contains(bytes.count) else { return false }
    guard let first = bytes.first, let last = bytes.last, isAlphanumeric(first) else {
      return false
    }
    return isAlphanumeric(last) && bytes.allSatisfy { isAlphanumeric($0) || isMark($0) }
  }

  /// Lower-case DNS labels with dots between them.
  private static func isSubdomain(_ bytes: Substring.UTF8View) -> Bool {
    guard (1...TenantMetadata.maximumPrefixBytes).contains(bytes.count) else { return false }
    return bytes.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).allSatisfy {
      label in Slug(parsing: String(Substring(label))) != nil
    }
  }

  private static func isMark(_ byte: UInt8) -> Bool {
    byte == UInt8(ascii: "-") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }
}

extension TenantRules {
  /// What the platform notes on a tenant.
  static func check(_ metadata: TenantMetadata, _ checks: inout FieldChecks) {
    check(labels: metadata.labels, &checks)
    check(annotations: metadata.annotations, &checks)
  }

  private static func check(labels: [String: String], _ checks: inout FieldChecks) {
    guard labels.count <= TenantMetadata.maximumLabels else {
      checks.note(.invalid("tenant.labels", "more than \(TenantMetadata.maximumLabels)"))
      return
    }
    check(keys: labels.keys, "tenant.labels", &checks)
    if labels.values.contains(where: { !MetadataForm.isLabelValue($0) }) {
      checks.note(
        .invalid(
          "tenant.labels",
          "a value is empty, or 1 to \(TenantMetadata.maximumNameBytes) letters, digits, '-', '_' and '.',"
            + " the first and the last a letter or digit"))
    }
  }

  private static func check(annotations: [String: String], _ checks: inout FieldChecks) {
    guard annotations.count <= TenantMetadata.maximumAnnotations else {
      checks.note(
        .invalid("tenant.annotations", "more than \(TenantMetadata.maximumAnnotations)"))
      return
    }
    let metadata = TenantMetadata(annotations: annotations)
    guard metadata.content.bytes <= TenantMetadata.maximumAnnotationBytes else {
      checks.note(
        .invalid(
          "tenant.annotations", "more than \(TenantMetadata.maximumAnnotationBytes) bytes"))
      return
    }
    check(keys: annotations.keys, "tenant.annotations", &checks)
    if annotations.values.contains(where: { $0.utf8.contains(0) }) {
      checks.note(.invalid("tenant.annotations", "must not hold NUL"))
    }
  }

  private static func check(
    keys: some Sequence<String>, _ field: String, _ checks: inout FieldChecks
  ) {
    if keys.allSatisfy(MetadataForm.isKey) { return }
    checks.note(
      .invalid(
        field,
        "a key is 1 to \(TenantMetadata.maximumNameBytes) letters, digits, '-', '_' and '.', the first and the last"
          + " a letter or digit; a DNS subdomain of at most \(TenantMetadata.maximumPrefixBytes) bytes and '/' may"
          + " stand before it"))
  }
}
