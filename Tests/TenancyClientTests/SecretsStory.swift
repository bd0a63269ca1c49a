import TenancyWire
import Testing

/// Each rotation makes a key of its own.
enum SecretsStory {
  static func run(_ client: Stubs) async throws {
    let first = try await client.secrets.rotateDataKey(V1.RotateDataKeyRequest())
    let second = try await client.secrets.rotateDataKey(V1.RotateDataKeyRequest())
    #expect(!first.dataKey.isEmpty && first.dataKey != second.dataKey)
  }
}
