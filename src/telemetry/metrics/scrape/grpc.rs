//! How gRPC calls ended, summed up.

use super::Picture;
use crate::telemetry::grpc::GrpcStatus;
use crate::telemetry::metrics::exposition::Exposition;
use crate::telemetry::metrics::families as family;
use crate::telemetry::metrics::shard::LANES;

impl Picture {
    pub(super) fn write_grpc(&self, out: &mut Exposition) {
        let mut responses = out.family(&family::GRPC_RESPONSES);
        for (name, shards) in &self.apps {
            for (lane, engine) in LANES.into_iter().enumerate() {
                for status in GrpcStatus::ALL {
                    let counted = shards.iter().filter_map(|app| app.grpc.get());
                    let count: u64 = counted.map(|lanes| lanes[lane][status.index()].get()).sum();
                    if count > 0 {
                        responses.add(&[name, engine, status.as_str()], count);
                    }
                }
            }
        }
    }
}
