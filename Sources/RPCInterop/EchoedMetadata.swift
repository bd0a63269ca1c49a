import RPC

/// Metadata that the interoperability tests want back.
enum EchoedMetadata {
  static let initial = "x-grpc-test-echo-initial"
  static let trailing = "x-grpc-test-echo-trailing-bin"

  /// Puts what came with the call into its response.
  static func echo(_ call: AsyncCall) {
    var headers = Metadata()
    for value in call.metadata[initial] { headers.add(initial, value) }
    call.response.addHeaders(headers)
    var trailers = Metadata()
    for value in call.metadata.bytes(trailing) { trailers.add(trailing, bytes: value) }
    call.response.addTrailers(trailers)
  }
}
