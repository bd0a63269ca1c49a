import Tenancy
import Testing

@testable import TenancyServer

struct TokenSignersTests {
  /// One of 64 would, and command lines take it for an option: `tenantctl keys remove` said what its options are. That
  /// none of a thousand does by chance is as likely as to win a lottery.
  @Test(arguments: [TokenKey.Algorithm.edDSA, .es256])
  func noKeysIDBeginsWithAHyphen(_ algorithm: TokenKey.Algorithm) throws {
    for _ in 0..<1000 {
      let made = try TokenSigners.make(algorithm)
      #expect(!made.id.hasPrefix("-"))
    }
  }
}
