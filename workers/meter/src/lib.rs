//! The UDP worker: batches out of the kernel into the meter table.
