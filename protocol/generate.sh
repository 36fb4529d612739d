#!/usr/bin/env bash
# Makes the Swift code of waybill.proto anew. Needs protoc (apt: protobuf-compiler); the result is committed.
set -euo pipefail
cd "$(dirname "$0")/.."
swift build --product protoc-gen-swift
plugin="$(swift build --show-bin-path)/protoc-gen-swift"
[ -x "$plugin" ] || plugin="$(swift build --show-bin-path)/protoc-gen-swift-tool"
protoc --plugin=protoc-gen-swift="$plugin" --proto_path=protocol \
    --swift_out=Sources/WaybillWire --swift_opt=Visibility=Public waybill.proto
mkdir -p Sources/WaybillWire/Generated
mv Sources/WaybillWire/waybill.pb.swift Sources/WaybillWire/Generated/waybill.pb.swift
