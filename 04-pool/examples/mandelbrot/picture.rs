//! What is painted: the Mandelbrot set and what is around it.

use std::array;
use std::f64::consts::TAU;
use std::fs::File;
use std::io::BufWriter;

use anyhow::Result;
use png::{ColorType, Encoder};

/// Red, green and blue. An array of them is a picture as a PNG has it.
pub type Colour = [u8; 3];

/// A point that has not escaped after so many steps is taken to be in the set.
const STEPS: u32 = 500;

#[derive(Clone, Copy)]
pub struct Size {
    pub width: usize,
    pub height: usize,
}

impl Size {
    pub fn row(self, y: usize) -> Vec<Colour> {
        (0..self.width).map(|x| self.pixel(x, y)).collect()
    }

    /// The mean of four points, since one would hit the fine threads by chance only.
    fn pixel(self, x: usize, y: usize) -> Colour {
        let (width, height) = (self.width as f64, self.height as f64);
        let scale = (3.5 / width).max(2.625 / height); // shows the whole set
        let quarters = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
        let colours = quarters.map(|(right, down)| {
            let real = (x as f64 + right - width / 2.0) * scale - 0.65;
            let imaginary = (height / 2.0 - y as f64 - down) * scale;
            steps(real, imaginary).map_or([0.0; 3], colour)
        });
        array::from_fn(|part| (colours.iter().map(|colour| colour[part]).sum::<f64>() / 4.0) as u8)
    }

    pub fn write(self, file: File, picture: &[Colour]) -> Result<()> {
        let (width, height) = (self.width.try_into()?, self.height.try_into()?);
        let mut encoder = Encoder::new(BufWriter::new(file), width, height);
        encoder.set_color(ColorType::Rgb);
        let mut png = encoder.write_header()?;
        png.write_image_data(picture.as_flattened())?;
        Ok(png.finish()?)
    }
}

/// How many steps z = z² + c takes to get far away; nothing for a point of the set.
fn steps(real: f64, imaginary: f64) -> Option<f64> {
    let (mut x, mut y) = (0.0_f64, 0.0_f64);
    for step in 0..STEPS {
        let (x2, y2) = (x * x, y * y);
        if x2 + y2 > 1e4 {
            // Less the part of a step by which it went too far: whole numbers make edges.
            return Some(f64::from(step) - (x2 + y2).ln().log2());
        }
        (x, y) = (x2 - y2 + real, 2.0 * x * y + imaginary);
    }
    None
}

/// Waves from dark blue over white to gold; over the logarithm, as the steps grow ever faster.
fn colour(steps: f64) -> [f64; 3] {
    let wave = 0.35 + 0.55 * (steps + 4.0).ln();
    [0.2, 0.1, 0.0].map(|late| 127.5 - 127.5 * (TAU * (wave - late)).cos())
}
