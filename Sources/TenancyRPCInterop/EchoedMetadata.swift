import TenancyRPC

/// Metadata that the interoperability tests want back.
enum EchoedMetadata {
  static let initial = "x-grpc-test-echo-initial"
  static let trailing = "x-grpc-test-echo-trailing-bin"

  /// Values of either: tests send one.
  private static let most = 16

  /// Puts what came with the call into its response.
  static func echo(_ call: AsyncCall<some ServerDelegate>) {
    var headers = RPCMetadata()
    for value in call.metadata[initial].prefix(most) { headers.add(initial, value) }
    call.response.addHeaders(headers)
    var trailers = RPCMetadata()
    for value in call.metadata.bytes(trailing, atMost: most) {
      trailers.add(trailing, bytes: value)
    }
    call.response.addTrailers(trailers)
  }
}
