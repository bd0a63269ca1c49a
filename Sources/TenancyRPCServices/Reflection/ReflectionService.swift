public import TenancyRPC

/// `grpc.reflection.v1.ServerReflection` and its `v1alpha`, for a server to serve: clients without protos,
/// such as grpcurl, learn from it what there is to call.
public struct ReflectionService: Sendable {
  /// The services that are told of; sorted.
  private let services: [String]
  private let index: DescriptorIndex

  /// - Parameters:
  ///   - methods: what the server serves besides this service.
  ///   - descriptorSets: encoded `google.protobuf.FileDescriptorSet`s of these methods' protos and all
  ///     that they import. A file may be in several. This module's own are known.
  /// - Throws: `ReflectionError`.
  public init<Delegate: ServerDelegate>(
    serving methods: [ServiceMethod<Delegate>], descriptorSets: [[UInt8]]
  ) throws(ReflectionError) {
    do throws(FieldViolation) {
      index = try DescriptorIndex(descriptorSets + [ServicesDescriptors.fileDescriptorSet])
    } catch {
      throw ReflectionError(description: "a descriptor set \(error.description)")
    }
    var names = Set(methods.map(\.service))
    names.formUnion([
      GRPCReflection.ServerReflection.name, GRPCReflectionAlpha.ServerReflection.name,
    ])
    services = names.sorted()
    if let unknown = services.first(where: { index.symbols[$0] == nil }) {
      throw ReflectionError(description: "no descriptor set has \(unknown)")
    }
  }

  /// Of a server with whichever delegate.
  public func methods<Delegate: ServerDelegate>() -> [ServiceMethod<Delegate>] {
    // Both versions have the same messages but for their package, which the wire does not show.
    [
      GRPCReflection.ServerReflection.serverReflectionInfo.path,
      GRPCReflectionAlpha.ServerReflection.serverReflectionInfo.path,
    ].map { path in
      // Off the event loop: who sends many requests at once would have it for as long as they last.
      .streaming(path: path, kind: .bidirectional, on: .concurrentPool) { _, requests, responses in
        // Files that the client has, so that none is sent for its own sake and again as an import.
        var sent: Set<String> = []
        while let request = try await SmallRequests.next(Request.self, of: requests) {
          try await responses.send(
            Response(
              validHost: request.host, originalRequest: request,
              messageResponse: answer(request, sent: &sent)))
        }
      }
    }
  }
}

/// Descriptors that can't be used.
public struct ReflectionError: Error, Sendable, CustomStringConvertible {
  public let description: String
}

// MARK: - Answers

extension ReflectionService {
  typealias Request = GRPCReflection.ServerReflectionRequest
  typealias Response = GRPCReflection.ServerReflectionResponse
  typealias Answer = Response.MessageResponse

  private func answer(_ request: Request, sent: inout Set<String>) -> Answer {
    switch request.messageRequest {
    case .fileByFilename(let name): files(index.files[name]?.name, &sent, "file \(name)")
    case .fileContainingSymbol(let symbol): files(index.symbols[symbol], &sent, "symbol \(symbol)")
    case .fileContainingExtension(let wanted):
      files(
        index.extensions[wanted.containingType]?
          .first { $0.number == wanted.extensionNumber }?.file,
        &sent, "extension \(wanted.extensionNumber) of \(wanted.containingType)")
    case .allExtensionNumbersOfType(let type): extensionNumbers(of: type)
    case .listServices:
      .listServicesResponse(.init(service: services.map { .init(name: $0) }))
    case nil: Self.error(.invalidArgument, "the request asks for nothing that is known here")
    }
  }

  /// The file and, of what it imports, that which was not sent on this stream.
  private func files(_ name: String?, _ sent: inout Set<String>, _ wanted: String) -> Answer {
    guard let name else { return Self.error(.notFound, "\(wanted): not found") }
    let files = index.closure(of: name).filter { $0.name == name || !sent.contains($0.name) }
    sent.formUnion(files.map(\.name))
    return .fileDescriptorResponse(.init(fileDescriptorProto: files.map(\.encoded)))
  }

  private func extensionNumbers(of type: String) -> Answer {
    guard index.messages.contains(type) else {
      return Self.error(.notFound, "message \(type): not found")
    }
    let numbers = (index.extensions[type] ?? []).map(\.number).sorted()
    return .allExtensionNumbersResponse(.init(baseTypeName: type, extensionNumber: numbers))
  }

  private static func error(_ code: RPCStatus.Code, _ message: String) -> Answer {
    .errorResponse(.init(errorCode: Int32(code.rawValue), errorMessage: message))
  }
}
