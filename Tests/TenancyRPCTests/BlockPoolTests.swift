import Testing

@testable import TenancyRPCServer

@Suite("Memory of HTTP/2 sessions")
struct BlockPoolTests {
  @Test func blocksAreOneBehindTheOther() throws {
    let pool = BlockPool(blockBytes: 5000, capacity: 3)
    #expect(pool.blockBytes % 4096 == 0)
    #expect(pool.blockBytes >= 5000)
    let blocks = (0..<3).compactMap { _ in pool.take() }
    #expect(Set(blocks).count == 3)
    for (number, block) in blocks.enumerated() {
      #expect(pool.owns(block))
      #expect(pool.owns(block + pool.blockBytes - 1))
      #expect(UInt(bitPattern: block) % 4096 == 0)
      block.initializeMemory(as: UInt8.self, repeating: UInt8(number + 1), count: pool.blockBytes)
    }
    for (number, block) in blocks.enumerated() {
      let bytes = UnsafeRawBufferPointer(start: block, count: pool.blockBytes)
      #expect(bytes.allSatisfy { $0 == number + 1 })
    }
    // One past the limit.
    #expect(pool.take() == nil)
    let other = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)
    defer { other.deallocate() }
    #expect(!pool.owns(other))
  }

  @Test func blocksAreUsedAgain() throws {
    let pool = BlockPool(blockBytes: 8192, capacity: 1)
    let block = try #require(pool.take())
    block.initializeMemory(as: UInt8.self, repeating: 1, count: 8192)
    pool.giveBack(block)
    #expect(pool.take() == block)
    // The system has had the second page.
    let page = UnsafeRawBufferPointer(start: block + 4096, count: 4096)
    #expect(page.allSatisfy { $0 == 0 })
    #expect(pool.take() == nil)
  }

  @Test func threadsShareIt() async {
    let pool = BlockPool(blockBytes: 4096, capacity: 64)
    await withTaskGroup(of: Void.self) { group in
      for number in 1...4 {
        group.addTask {
          for _ in 0..<500 {
            guard let block = pool.take() else {
              Issue.record("four tasks need more than 64 blocks")
              return
            }
            block.storeBytes(of: number, as: Int.self)
            #expect(block.load(as: Int.self) == number)
            pool.giveBack(block)
          }
        }
      }
    }
  }

  @Test(arguments: [
    1, 600, 16 * 1024 - 17, 16 * 1024 - 16, 16_394, 20 * 1024 - 16, 20 * 1024, 100_000,
  ])
  func memoryGrowsWithItsContent(_ count: Int) throws {
    let pool = BlockPool(blockBytes: HTTP2Memory.bufferBytes.upperBound, capacity: 1)
    let session = HTTP2Memory(buffers: pool)
    var memory = try #require(session.reallocate(nil, count))
    #expect(pool.owns(memory) == HTTP2Memory.bufferBytes.contains(count + 16))
    memory.initializeMemory(as: UInt8.self, repeating: 5, count: count)
    memory = try #require(session.reallocate(memory, count + 30_000))
    let bytes = UnsafeMutableRawBufferPointer(start: memory, count: count + 30_000)
    #expect(bytes.prefix(count).allSatisfy { $0 == 5 })
    bytes.initializeMemory(as: UInt8.self, repeating: 6)
    session.free(memory)
    session.free(nil)
    // Where it was a block, that is free again.
    #expect(pool.take() != nil)
  }

  /// A frame buffer is a block; with none left it is other memory.
  @Test func sessionsGoOnWithoutBlocks() throws {
    let pool = BlockPool(blockBytes: HTTP2Memory.bufferBytes.upperBound, capacity: 1)
    let session = HTTP2Memory(buffers: pool)
    let first = try #require(session.allocate(16_394))
    let second = try #require(session.allocate(16_394))
    #expect(pool.owns(first))
    #expect(!pool.owns(second))
    session.free(second)
    #expect(pool.take() == nil)
    session.free(first)
    #expect(pool.take() != nil)
  }
}
