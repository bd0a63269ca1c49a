// swift-tools-version: 6.2
import PackageDescription

let runtime = Target.Dependency.product(name: "TenancyRPC", package: "tenancy")

// A service of somebody else's on the RPC runtime. Some of its targets have names that are short for what they are:
// the runtime has none of these for its own.
let package = Package(
  name: "weather-station",
  dependencies: [.package(name: "tenancy", path: "../..")],
  targets: [
    // Generated: messages in C, and messages, methods and clients in Swift.
    .target(
      name: "CWeather",
      dependencies: [.product(name: "CTenancyProtobufC", package: "tenancy")]),
    .target(name: "Weather", dependencies: ["CWeather", runtime]),

    .target(name: "RPC", dependencies: ["Weather", runtime]),
    .systemLibrary(name: "COpenSSL", pkgConfig: "openssl"),
    .target(name: "PKI", dependencies: ["COpenSSL"]),
    .executableTarget(name: "weather-station", dependencies: ["PKI", "RPC", "Weather", runtime]),
  ]
)

// Not of the weather: a file may import GRPCCore beside the runtime.
package.dependencies.append(
  .package(url: "https://github.com/grpc/grpc-swift-2", from: "2.4.3"))
package.targets.append(
  .target(
    name: "BesideGRPC",
    dependencies: [runtime, .product(name: "GRPCCore", package: "grpc-swift-2")]))
