import TenancyRPC

/// What a set of protos declares, and in which file. Made once, from descriptors that we trust.
struct DescriptorIndex: Sendable {
  /// One `google.protobuf.FileDescriptorProto`.
  struct File: Sendable {
    let name: String
    let encoded: [UInt8]
    let dependencies: [String]
  }

  /// An extension's number, and the file that declares it.
  struct Extension: Sendable, Hashable {
    let number: Int32
    let file: String
  }

  private(set) var files: [String: File] = [:]
  /// Fully qualified names, of whatever can have one, and their files.
  private(set) var symbols: [String: String] = [:]
  /// Fully qualified.
  private(set) var messages: Set<String> = []
  /// By the fully qualified name of the message they extend.
  private(set) var extensions: [String: [Extension]] = [:]

  /// - Parameter sets: encoded `google.protobuf.FileDescriptorSet`s. A file may be in several.
  /// - Throws: what is wrong with one of them.
  init(_ sets: [[UInt8]]) throws(FieldViolation) {
    for set in sets {
      try Self.fields(of: set) { (number, content) throws(FieldViolation) in
        if number == Number.file { try add(Array(try Self.bytes(content))) }
      }
    }
  }

  /// A file and all that it imports, the file first.
  func closure(of name: String) -> [File] {
    var found: [File] = []
    var seen: Set<String> = [name]
    var waiting = [name]
    while let next = waiting.popLast() {
      // All files were made together: what is imported is there.
      guard let file = files[next] else { continue }
      found.append(file)
      for dependency in file.dependencies where seen.insert(dependency).inserted {
        waiting.append(dependency)
      }
    }
    return found
  }
}

// MARK: - Reading descriptors

extension DescriptorIndex {
  /// Field numbers of descriptor.proto, by the message they are of.
  private enum Number {
    static let file: UInt32 = 1

    static let fileName: UInt32 = 1
    static let filePackage: UInt32 = 2
    static let fileDependency: UInt32 = 3
    static let fileMessage: UInt32 = 4
    static let fileEnum: UInt32 = 5
    static let fileService: UInt32 = 6
    static let fileExtension: UInt32 = 7

    /// Of every declaration.
    static let name: UInt32 = 1

    static let messageField: UInt32 = 2
    static let messageNested: UInt32 = 3
    static let messageEnum: UInt32 = 4
    static let messageExtension: UInt32 = 6
    static let messageOneof: UInt32 = 8

    static let fieldExtendee: UInt32 = 2
    static let fieldNumber: UInt32 = 3

    static let enumValue: UInt32 = 2
    static let serviceMethod: UInt32 = 2
  }

  private mutating func add(_ encoded: [UInt8]) throws(FieldViolation) {
    var name = ""
    var package = ""
    var dependencies: [String] = []
    try Self.fields(of: encoded) { (number, content) throws(FieldViolation) in
      switch number {
      case Number.fileName: name = try Self.text(content)
      case Number.filePackage: package = try Self.text(content)
      case Number.fileDependency: dependencies.append(try Self.text(content))
      default: break
      }
    }
    guard files[name] == nil else { return }
    files[name] = File(name: name, encoded: encoded, dependencies: dependencies)
    try Self.fields(of: encoded) { (number, content) throws(FieldViolation) in
      switch number {
      case Number.fileMessage: try addMessage(try Self.bytes(content), in: package, name)
      case Number.fileEnum: try addEnum(try Self.bytes(content), in: package, name)
      case Number.fileService: try addService(try Self.bytes(content), in: package, name)
      case Number.fileExtension: try addExtension(try Self.bytes(content), in: package, name)
      default: break
      }
    }
  }

  private mutating func addMessage(
    _ message: UnsafeRawBufferPointer, in scope: String, _ file: String
  ) throws(FieldViolation) {
    let name = try Self.qualified(message, in: scope)
    symbols[name] = file
    messages.insert(name)
    try Self.fields(of: message) { (number, content) throws(FieldViolation) in
      switch number {
      case Number.messageField, Number.messageOneof:
        symbols[try Self.qualified(try Self.bytes(content), in: name)] = file
      case Number.messageNested: try addMessage(try Self.bytes(content), in: name, file)
      case Number.messageEnum: try addEnum(try Self.bytes(content), in: name, file)
      case Number.messageExtension: try addExtension(try Self.bytes(content), in: name, file)
      default: break
      }
    }
  }

  private mutating func addService(
    _ service: UnsafeRawBufferPointer, in scope: String, _ file: String
  ) throws(FieldViolation) {
    let name = try Self.qualified(service, in: scope)
    symbols[name] = file
    try Self.fields(of: service) { (number, content) throws(FieldViolation) in
      guard number == Number.serviceMethod else { return }
      symbols[try Self.qualified(try Self.bytes(content), in: name)] = file
    }
  }

  private mutating func addEnum(
    _ type: UnsafeRawBufferPointer, in scope: String, _ file: String
  ) throws(FieldViolation) {
    symbols[try Self.qualified(type, in: scope)] = file
    try Self.fields(of: type) { (number, content) throws(FieldViolation) in
      guard number == Number.enumValue else { return }
      // Protobuf has values beside their enum, not in it.
      symbols[try Self.qualified(try Self.bytes(content), in: scope)] = file
    }
  }

  private mutating func addExtension(
    _ field: UnsafeRawBufferPointer, in scope: String, _ file: String
  ) throws(FieldViolation) {
    symbols[try Self.qualified(field, in: scope)] = file
    var extended = ""
    var extensionNumber: Int32 = 0
    try Self.fields(of: field) { (number, content) throws(FieldViolation) in
      switch (number, content) {
      case (Number.fieldExtendee, _): extended = try Self.text(content)
      case (Number.fieldNumber, .varint(let value)):
        extensionNumber = Int32(truncatingIfNeeded: value)
      default: break
      }
    }
    // Types in descriptors begin with a dot.
    extensions[String(extended.drop { $0 == "." }), default: []]
      .append(Extension(number: extensionNumber, file: file))
  }

  private static func qualified(
    _ declaration: UnsafeRawBufferPointer, in scope: String
  ) throws(FieldViolation) -> String {
    var name = ""
    try fields(of: declaration) { (number, content) throws(FieldViolation) in
      if number == Number.name { name = try text(content) }
    }
    return scope.isEmpty ? name : "\(scope).\(name)"
  }

  private static func fields(
    of bytes: [UInt8],
    _ body: (UInt32, WireCursor.Content) throws(FieldViolation) -> Void
  ) throws(FieldViolation) {
    try bytes.span.bytes.withUnsafeBytes { bytes throws(FieldViolation) in
      try fields(of: bytes, body)
    }
  }

  private static func fields(
    of bytes: UnsafeRawBufferPointer,
    _ body: (UInt32, WireCursor.Content) throws(FieldViolation) -> Void
  ) throws(FieldViolation) {
    var cursor = WireCursor(bytes)
    while let (number, content) = try cursor.next() { try body(number, content) }
  }

  private static func bytes(
    _ content: WireCursor.Content
  ) throws(FieldViolation) -> UnsafeRawBufferPointer {
    guard case .bytes(let bytes) = content else { throw WireCursor.malformed }
    return bytes
  }

  private static func text(_ content: WireCursor.Content) throws(FieldViolation) -> String {
    String(decoding: try bytes(content), as: UTF8.self)
  }
}
