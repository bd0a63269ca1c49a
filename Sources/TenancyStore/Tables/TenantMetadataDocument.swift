internal import Tenancy

/// A tenant's labels and annotations as JSON has them, in the tenant's row and in the log.
struct TenantMetadataDocument: Codable {
  private let annotations, labels: [String: String]?

  init(_ metadata: TenantMetadata) {
    annotations = metadata.annotations.isEmpty ? nil : metadata.annotations
    labels = metadata.labels.isEmpty ? nil : metadata.labels
  }

  var metadata: TenantMetadata {
    TenantMetadata(labels: labels ?? [:], annotations: annotations ?? [:])
  }

  /// What the encoder makes of the document.
  static func write(_ metadata: TenantMetadata, to json: inout JSONText) throws(StoreError) {
    try json.object { json throws(StoreError) in
      if !metadata.annotations.isEmpty {
        json.key("annotations")
        try write(metadata.annotations, to: &json)
      }
      if !metadata.labels.isEmpty {
        json.key("labels")
        try write(metadata.labels, to: &json)
      }
    }
  }

  private static func write(
    _ pairs: [String: String], to json: inout JSONText
  ) throws(StoreError) {
    try json.object { json throws(StoreError) in
      for (key, value) in pairs.sorted(by: { $0.key < $1.key }) {
        json.key(text: key)
        json.string(value)
      }
    }
  }
}
