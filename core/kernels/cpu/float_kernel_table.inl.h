// The table of FloatKernels for one vocabulary V. Included inside a target region (target_region.h), after the kernels.

#ifndef MLXR_CORE_KERNELS_CPU_FLOAT_KERNEL_TABLE_INL_H_
#define MLXR_CORE_KERNELS_CPU_FLOAT_KERNEL_TABLE_INL_H_

namespace mlxr {

template <class V>
constexpr FloatKernels kFloatKernelTable{
    .isa = V::kIsa,
    .rms_norm = rms_norm_row<V>,
    .layer_norm = layer_norm_row<V>,
    .rope = rope_token<V>,
    .silu = activate_array<V, SiluOp>,
    .gelu_tanh = activate_array<V, GeluTanhOp>,
    .relu = activate_array<V, ReluOp>,
    .silu_gate = gate_arrays<V, SiluOp>,
    .gelu_tanh_gate = gate_arrays<V, GeluTanhOp>,
    .relu_gate = gate_arrays<V, ReluOp>,
    .add = add_arrays<V>,
    .scale = scale_array<V>,
    .softcap = softcap_array<V>,
    .exp = exp_array<V>,
    .convert = convert_array<V>,
    .attend = attend_range<V>,
    .merge = merge_attention<V>,
    .finish = finish_attention<V>,
};

}  // namespace mlxr

#endif  // MLXR_CORE_KERNELS_CPU_FLOAT_KERNEL_TABLE_INL_H_
