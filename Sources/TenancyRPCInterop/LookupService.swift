import CTenancyInteropProto
import CTenancyProtobufC
public import TenancyRPC

/// `bench.v1.Lookup`: what the runtime costs when a handler does next to nothing. Messages stay in C, and
/// the entry's texts where they are.
public struct LookupService: Sendable {
  /// Entries: `key-00000` to `key-09999`.
  static let entries = 10_000

  private let table = LookupTable(count: Self.entries)

  public init() {}

  public func methods<Delegate: ServerDelegate>() -> [ServiceMethod<Delegate>] {
    [
      .inline(path: Bench.Lookup.get.path) { [table] (call, message) throws(RPCStatus) in
        let arena = call.arena
        let request: UnsafePointer<Bench.GetRequest.CMessage>
        do throws(WireError) {
          request = try Bench.GetRequest.decode(message, arena: arena)
        } catch {
          throw error.status
        }
        // Compared with texts only, so it need not be one.
        guard let entry = table.find(request.pointee.key.bytes) else {
          throw RPCStatus(.notFound, "no such entry")
        }
        let response = arena.uninitialized(Bench.Entry.CMessage.self)
        bench__v1__entry__init(response)
        response.pointee.name = Self.lend(entry.name)
        response.pointee.value = Self.lend(entry.value)
        response.pointee.revision = entry.revision
        call.reply(count: Bench.Entry.encodedSize(response)) {
          Bench.Entry.pack(response, into: $0)
        }
      }
    ]
  }

  private static func lend(_ text: UnsafeMutableRawBufferPointer) -> ProtobufCBinaryData {
    ProtobufCBinaryData(
      len: text.count, data: text.baseAddress?.assumingMemoryBound(to: UInt8.self))
  }
}
