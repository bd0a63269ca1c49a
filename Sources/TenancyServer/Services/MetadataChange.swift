import Tenancy
import TenancyWire

/// What an update makes of a tenant's labels and annotations: all of them anew, or some by their keys.
struct MetadataChange: Sendable {
  private let sent: TenantMetadata
  private let replacesLabels: Bool
  private let replacesAnnotations: Bool
  /// Of the pairs that are set, or removed where nothing was sent for them.
  private let labelKeys: [String]
  private let annotationKeys: [String]

  /// Whether a path of a mask names one label or annotation.
  static func isPath(_ path: String) -> Bool {
    key(of: path, in: labels) != nil || key(of: path, in: annotations) != nil
  }

  private static let labels = "labels."
  private static let annotations = "annotations."

  /// - Parameters:
  ///   - mask: as `sentMask` was understood.
  ///   - isPlatform: whether the platform asks. Tenants' identities are not shown annotations: whether one is what they
  ///     send would tell them.
  /// - Throws: `notTheirs` for a tenant's identity that names annotations, whatever there are.
  init(
    _ tenant: V1.Tenant, _ mask: UpdateMask, _ sentMask: GoogleProtobuf.FieldMask?,
    isPlatform: Bool
  ) throws(TenancyError) {
    let namesAnnotations = (sentMask?.paths ?? []).contains {
      $0 == "annotations" || $0.hasPrefix(Self.annotations)
    }
    guard isPlatform || (tenant.annotations.isEmpty && !namesAnnotations) else {
      throw TenantCommands.notTheirs
    }
    sent = TenantMetadata(labels: tenant.labels, annotations: tenant.annotations)
    replacesLabels = mask.covers("labels", populated: !tenant.labels.isEmpty)
    // For others `*` is what they are shown.
    replacesAnnotations =
      isPlatform && mask.covers("annotations", populated: !tenant.annotations.isEmpty)
    labelKeys = mask.paths.compactMap { Self.key(of: $0, in: Self.labels) }
    annotationKeys = mask.paths.compactMap { Self.key(of: $0, in: Self.annotations) }
  }

  var changesAnything: Bool {
    replacesLabels || replacesAnnotations || !labelKeys.isEmpty || !annotationKeys.isEmpty
  }

  @Sendable func apply(_ former: TenantMetadata) -> TenantMetadata {
    var metadata = former
    if replacesLabels { metadata.labels = sent.labels }
    if replacesAnnotations { metadata.annotations = sent.annotations }
    for key in labelKeys { metadata.labels[key] = sent.labels[key] }
    for key in annotationKeys { metadata.annotations[key] = sent.annotations[key] }
    return metadata
  }

  private static func key(of path: String, in field: String) -> String? {
    guard path.hasPrefix(field), path.utf8.count > field.utf8.count else { return nil }
    return String(path.dropFirst(field.count))
  }
}
